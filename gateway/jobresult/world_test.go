package jobresult

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/schemas"
)

const (
	testJob    = "j01h8x3vz9k6tqc2n4m5p7r0sa"
	testDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// world is an ended job in a real directory store, and a reader of it.
type world struct {
	*testing.T
	store  *dir.Store
	reader *Reader
	rec    schemas.Record
	stdout string
}

// newWorld has a job that wrote more to stdout than its result holds.
func newWorld(t *testing.T) *world {
	store, err := dir.Open(dir.Config{Path: t.TempDir(), BaseURL: func() string { return "http://127.0.0.1" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w := &world{T: t, store: store, reader: New(store, 0), stdout: strings.Repeat("0123456789abcdef", 10_000)}
	exit := 0
	w.rec = schemas.Record{
		Version: 1, ID: testJob, Tenant: "alice", State: schemas.StateSucceeded,
		Attempts: []schemas.Attempt{{N: 1, Executor: "box", ClaimedUS: 1}}, Outcome: &schemas.Outcome{ExitCode: &exit},
	}
	log := w.put(schemas.ObjectStdout, packed(w.stdout))
	w.finish(schemas.Result{
		Stdout: schemas.Stdio{Text: w.stdout[:schemas.StdioHead], Bytes: int64(len(w.stdout)), Truncated: true, Log: &log},
		Stderr: schemas.Stdio{Text: "\uFFFD", Base64: "/w==", Bytes: 1, Truncated: true},
	})
	return w
}

// finish stores the result, and has the record name it.
func (w *world) finish(r schemas.Result) {
	w.Helper()
	r.Version, r.Job, r.Attempt, r.Outcome = schemas.ResultVersion, testJob, 1, *w.rec.Outcome
	r.RanOn = schemas.RanOn{Executor: "box", Arch: "amd64", Isolation: "vm", ImageDigest: testDigest}
	data, err := json.Marshal(r)
	if err != nil {
		w.Fatal(err)
	}
	object := w.put(schemas.ObjectResult, data)
	w.rec.Result = &object
}

func (w *world) put(name string, data []byte) schemas.Object {
	w.Helper()
	if _, err := w.store.Put(w.Context(), w.rec.ResultKey(name), bytes.NewReader(data), objstore.PutOptions{Size: int64(len(data))}); err != nil {
		w.Fatal(err)
	}
	return objectOf(name, data)
}

func objectOf(name string, data []byte) schemas.Object {
	sum := sha256.Sum256(data)
	return schemas.Object{Name: name, Size: int64(len(data)), SHA256: schemas.Digest(sum[:])}
}

// log reads a whole log.
func (w *world) log(stream string) (string, error) {
	result, err := w.reader.Result(w.Context(), w.rec)
	if err != nil {
		return "", err
	}
	log, err := w.reader.Log(w.Context(), w.rec, result, stream)
	if err != nil {
		return "", err
	}
	defer log.Close()
	data, err := io.ReadAll(log)
	return string(data), err
}

func packed(plain string) []byte {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		panic(err)
	}
	io.WriteString(w, plain)
	w.Close()
	return b.Bytes()
}

// memory is a store that has this one object under every key.
func memory(data []byte) objstore.Store { return oneObject{data: data} }

type oneObject struct {
	objstore.Store
	data []byte
}

func (o oneObject) Get(context.Context, string, objstore.Range) (io.ReadCloser, objstore.Info, error) {
	return io.NopCloser(bytes.NewReader(o.data)), objstore.Info{Size: int64(len(o.data))}, nil
}

// mute is a store that knows no digests, as an S3 store of objects that others wrote.
type mute struct{ objstore.Store }

func (m mute) Get(ctx context.Context, key string, r objstore.Range) (io.ReadCloser, objstore.Info, error) {
	body, info, err := m.Store.Get(ctx, key, r)
	info.SHA256 = ""
	return body, info, err
}

// away is a store that does not answer, or breaks off after the first bytes.
type away struct {
	objstore.Store
	after int64
}

func (a away) Get(ctx context.Context, key string, r objstore.Range) (io.ReadCloser, objstore.Info, error) {
	if a.after == 0 {
		return nil, objstore.Info{}, objstore.ErrUnavailable
	}
	body, info, err := a.Store.Get(ctx, key, r)
	if err != nil {
		return nil, info, err
	}
	type brokenBody struct {
		io.Reader
		io.Closer
	}
	return brokenBody{io.MultiReader(io.LimitReader(body, a.after), unavailable{}), body}, info, nil
}

type unavailable struct{}

func (unavailable) Read([]byte) (int, error) { return 0, objstore.ErrUnavailable }
