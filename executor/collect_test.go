package executor

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/internal/archive/atrest"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

type oneRunner struct{ Runner }

func (oneRunner) Offering() schemas.Offering {
	return schemas.Offering{Arch: "amd64", Isolation: schemas.IsolationVM, Accel: "tcg"}
}

func testAttempt(t *testing.T) *attempt {
	t.Helper()
	a := &attempt{
		held: schemas.Held{Tenant: "local", Job: "j" + strings.Repeat("a", 25), Attempt: 1}, timeline: &timeline{}, dir: t.TempDir(),
		runner: oneRunner{}, ended: make(chan struct{}), spec: schemas.JobSpec{}.WithDefaults(), stdout: testSpool(t), stderr: testSpool(t),
	}
	return a
}

// collected runs collect and holds its result to what a gateway accepts.
func collectFrom(t *testing.T, a *attempt, ended Ended) *collected {
	t.Helper()
	e := &Executor{cfg: Config{ID: "one"}}
	c, err := e.collect(t.Context(), a, &imagesync.Image{Digest: schemas.Digest(make([]byte, 32))}, ended)
	if err != nil {
		t.Fatal(err)
	}
	c.result.Spans = a.timeline.sorted()
	text, err := json.Marshal(c.result)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := schemas.DecodeResult(bytes.NewReader(text)); err != nil {
		t.Errorf("a gateway refuses the result: %.2000v", err)
	}
	for _, o := range c.objects {
		content, err := os.ReadFile(o.path)
		if err != nil || int64(len(content)) != o.Size || digestOf(content) != o.SHA256 {
			t.Errorf("object %s of %d bytes is not what it says: %v", o.Name, len(content), err)
		}
	}
	return c
}

func tarOf(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(w, zeros{}, h.Size); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestCollectHostileOutputs(t *testing.T) {
	t.Parallel()
	out := tarOf(t,
		tar.Header{Name: "dir/", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "dir/good", Size: 3, Mode: 0o644},
		tar.Header{Name: "dir/same", Typeflag: tar.TypeLink, Linkname: "dir/good"},
		tar.Header{Name: "dir/link", Typeflag: tar.TypeSymlink, Linkname: "good"},
		tar.Header{Name: "out", Typeflag: tar.TypeSymlink, Linkname: "../x"},
		tar.Header{Name: "abs", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"},
		tar.Header{Name: "/root/file", Size: 1}, tar.Header{Name: "../escape", Size: 1},
		tar.Header{Name: "device", Typeflag: tar.TypeBlock, Devmajor: 8}, tar.Header{Name: "fifo", Typeflag: tar.TypeFifo},
		tar.Header{Name: "dir/link/below", Size: 1}, tar.Header{Name: "dir/good", Size: 1},
		tar.Header{Name: "new\nline", Size: 1}, tar.Header{Name: "bad\xffname", Size: 1, Format: tar.FormatGNU})
	c := collectFrom(t, testAttempt(t), Ended{Outputs: bytes.NewReader(out), Collected: guestproto.Collected{
		Skipped: math.MaxInt64, SkippedPaths: []string{`"x": socket`, "not quoted \x1b", `"\xff\n"`, strings.Repeat("y", 1024)},
	}})
	var got []string
	for _, o := range c.result.Outputs {
		got = append(got, fmt.Sprintf("%s %s %d", o.Path, o.Type, o.Size))
	}
	want := []string{"dir dir 0", "dir/good file 3", "dir/same file 3", "dir/link symlink 0", "new\nline file 1", "bad\uFFFDname file 1"}
	if !slices.Equal(got, want) {
		t.Errorf("outputs %q, want %q", got, want)
	}
	if c.result.Outputs[5].PathBase64 == "" || c.result.Outputs[2].SHA256 != c.result.Outputs[1].SHA256 {
		t.Errorf("outputs %+v", c.result.Outputs)
	}
	if c.result.SkippedTotal < 8 || len(c.result.Skipped) != 12 || len(c.objects) != 2 {
		t.Errorf("skipped %d: %+v; objects %+v", c.result.SkippedTotal, c.result.Skipped, c.objects)
	}
}

func TestCollectManyOutputs(t *testing.T) {
	t.Parallel()
	headers := make([]tar.Header, 100_000)
	for i := range headers {
		headers[i] = tar.Header{Name: fmt.Sprintf("d%d/f%d", i/1000, i)}
	}
	c := collectFrom(t, testAttempt(t), Ended{Outputs: bytes.NewReader(tarOf(t, headers...))})
	if c.result.OutputsTotal != len(headers) || len(c.result.Outputs) != schemas.MaxListedOutputs || c.result.Outcome.Limit != "" {
		t.Errorf("%d of %d outputs listed, outcome %+v", len(c.result.Outputs), c.result.OutputsTotal, c.result.Outcome)
	}
	t.Logf("%d entries: archive %d, index %d bytes", len(headers), c.result.Archive.Size, c.result.Index.Size)
	file, err := os.Open(c.objects[1].path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	index, err := atrest.DecodeIndex(file, schemas.MaxIndexBytes)
	if err != nil || len(index.Entries) != len(headers) {
		t.Errorf("index of %d entries, %v", len(index.Entries), err)
	}
}

// Names as long as they may be, of bytes that are not UTF-8, cost a result most.
func TestCollectLongNames(t *testing.T) {
	t.Parallel()
	headers := make([]tar.Header, 1200)
	for i := range headers {
		headers[i] = tar.Header{Name: strings.Repeat(strings.Repeat("\xff", 250)+"/", 16) + fmt.Sprint(i), Format: tar.FormatGNU}
	}
	c := collectFrom(t, testAttempt(t), Ended{Outputs: bytes.NewReader(tarOf(t, headers...))})
	if c.result.OutputsTotal != len(headers) || len(c.result.Outputs) == 0 || len(c.result.Outputs) == schemas.MaxListedOutputs {
		t.Errorf("%d of %d outputs listed", len(c.result.Outputs), c.result.OutputsTotal)
	}
}

// What can't be stored is the job's limit: a failure would only repeat itself.
func TestCollectTooMuch(t *testing.T) {
	t.Parallel()
	// Empty files, whose names no compression shrinks.
	tiny := make([]tar.Header, 100_000)
	random := rand.NewChaCha8([32]byte{})
	for i := range tiny {
		name := make([]byte, 130)
		random.Read(name)
		tiny[i] = tar.Header{Name: base64.RawURLEncoding.EncodeToString(name)}
	}
	whole := tarOf(t, tar.Header{Name: "f", Size: 4096})
	for name, ended := range map[string]Ended{
		"packing makes it larger":      {Outputs: bytes.NewReader(tarOf(t, tiny...))},
		"cut where its disk was full":  {Outputs: bytes.NewReader(whole[:2000]), Collected: guestproto.Collected{Limit: guestproto.LimitOutput}},
		"cut, and the program is dead": {Outputs: bytes.NewReader(whole[:2000]), Exit: guestproto.Exit{Signal: 9}, Collected: guestproto.Collected{Limit: guestproto.LimitOutput}},
	} {
		a := testAttempt(t)
		a.spec.Limits.OutputBytes = schemas.OutputRange.Min
		c := collectFrom(t, a, ended)
		if o := c.result.Outcome; o.Limit != schemas.LimitOutput || o.State() != schemas.StateFailed || c.result.Archive != nil || len(c.objects) != 0 || c.result.OutputsTotal != 0 {
			t.Errorf("%s: %+v, %d outputs", name, o, c.result.OutputsTotal)
		}
	}
}

func TestCollectLies(t *testing.T) {
	t.Parallel()
	for name, out := range map[string][]byte{
		"no tar":             bytes.Repeat([]byte("nonsense"), 1000),
		"cut":                tarOf(t, tar.Header{Name: "f", Size: 4096})[:2000],
		"more than it may":   tarOf(t, tar.Header{Name: "f", Size: schemas.OutputRange.Min + 1}),
		"no trailer":         tarOf(t, tar.Header{Name: "f"})[:512],
		"nothing but blanks": make([]byte, 511),
	} {
		a := testAttempt(t)
		a.spec.Limits.OutputBytes = schemas.OutputRange.Min
		_, err := (&Executor{}).collect(t.Context(), a, &imagesync.Image{}, Ended{Outputs: bytes.NewReader(out)})
		if f := failureOf(err); err == nil || f.Code != schemas.FailGuest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCollectLongLogs(t *testing.T) {
	t.Parallel()
	a := testAttempt(t)
	log := bytes.Repeat([]byte("0123456789\n\x00"), 10_000)
	a.stdout.write(log)
	a.stderr.write([]byte("short"))
	c := collectFrom(t, a, Ended{Exit: guestproto.Exit{StderrTruncated: true}})
	if len(c.objects) != 1 || c.result.Stdout.Log == nil || c.result.Stderr.Log != nil || !c.result.Stderr.Truncated {
		t.Fatalf("objects %+v, stderr %+v", c.objects, c.result.Stderr)
	}
	packed, err := os.ReadFile(filepath.Join(a.dir, schemas.ObjectStdout))
	if err != nil {
		t.Fatal(err)
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	if got, err := dec.DecodeAll(packed, nil); err != nil || !bytes.Equal(got, log) {
		t.Errorf("the log has %d bytes, %v", len(got), err)
	}
}

func TestFailureCodes(t *testing.T) {
	t.Parallel()
	handback := newFailure(schemas.FailHandback, "shutting down")
	stop := &stopped{"cancelled"}
	pulled := &imagesync.Error{Kind: imagesync.ErrUnreachable, Reference: "x", Err: errors.New("no route")}
	absent := &imagesync.Error{Kind: imagesync.ErrNotFound, Reference: "x", Err: errors.New("404")}
	for name, tc := range map[string]struct {
		err  error
		want schemas.FailureCode
	}{
		"plain":           {fail(schemas.FailMachine, errors.New("no boot")), schemas.FailMachine},
		"keeps its code":  {fail(schemas.FailUpload, fmt.Errorf("x: %w", handback)), schemas.FailHandback},
		"unknown":         {errors.New("?"), schemas.FailInternal},
		"registry away":   {imageFailure(fmt.Errorf("x: %w", pulled)), schemas.FailImagePull},
		"no such image":   {imageFailure(absent), schemas.FailImage},
		"this host":       {imageFailure(os.ErrPermission), schemas.FailStage},
		"stopped by then": {becauseOf(handback, errors.New("the machine died")), schemas.FailHandback},
	} {
		if f := failureOf(tc.err); f.Code != tc.want || len(f.Message) > schemas.MaxFailureMessage {
			t.Errorf("%s: %v", name, f)
		}
	}
	if err := becauseOf(handback, nil); err != nil {
		t.Errorf("a job that ended in time is handed back: %v", err)
	}
	if err := becauseOf(stop, nil); !errors.Is(err, stop) {
		t.Errorf("a stopped job is reported: %v", err)
	}
	if err := fail(schemas.FailGuest, fmt.Errorf("x: %w", stop)); !errors.Is(err, stop) {
		t.Errorf("a stop became %v", err)
	}
}
