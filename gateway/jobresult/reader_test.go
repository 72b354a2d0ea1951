package jobresult

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

func TestReadsWhatThereIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got, err := w.log(schemas.LiveStdout); got != w.stdout || err != nil {
		t.Errorf("%d bytes of stdout, want %d; %v", len(got), len(w.stdout), err)
	}
	// The program wrote more, and nothing of that was kept.
	if got, err := w.log(schemas.LiveStderr); got != "\xff" || err != nil {
		t.Errorf("stderr %q, %v", got, err)
	}
	inline := w.rec
	inline.ResultInline = []byte(`{"version":9}`)
	if _, err := w.reader.Result(t.Context(), inline); !errors.Is(err, ErrLost) {
		t.Errorf("a result that is none: %v", err)
	}
}

// TestLost: whatever happened to an object, it is neither empty nor whole.
func TestLost(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"with digests", "without digests"} {
		for _, name := range []string{schemas.ObjectResult, schemas.ObjectStdout} {
			for how, damage := range map[string]func(data []byte) []byte{
				"deleted":   func([]byte) []byte { return nil },
				"emptied":   func([]byte) []byte { return []byte{} },
				"truncated": func(data []byte) []byte { return data[:len(data)-1] },
				"longer":    func(data []byte) []byte { return append(data, ' ') },
				"replaced":  func(data []byte) []byte { return bytes.Repeat([]byte("x"), len(data)) },
				"flipped":   func(data []byte) []byte { data[len(data)-1] ^= 1; return data },
			} {
				t.Run(store+"/"+name+"/"+how, func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					if store == "without digests" {
						w.reader = New(mute{w.store}, 0)
					}
					w.damage(name, damage)
					if got, err := w.log(schemas.LiveStdout); !errors.Is(err, ErrLost) {
						t.Errorf("%d bytes of stdout, %v", len(got), err)
					}
				})
			}
		}
	}
}

func (w *world) damage(name string, damage func([]byte) []byte) {
	w.Helper()
	key := w.rec.ResultKey(name)
	body, _, err := w.store.Get(w.Context(), key, objstore.Range{})
	if err != nil {
		w.Fatal(err)
	}
	data, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close(), w.store.Delete(w.Context(), key)); err != nil {
		w.Fatal(err)
	}
	if data = damage(data); data != nil {
		w.put(name, data)
	}
}

// TestStoreAway: what can't be read now is not lost.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	for _, after := range []int64{0, 1, 100} {
		w := newWorld(t)
		w.reader = New(away{w.store, after}, 0)
		if _, err := w.log(schemas.LiveStdout); !errors.Is(err, objstore.ErrUnavailable) || errors.Is(err, ErrLost) {
			t.Errorf("result breaks off after %d: %v", after, err)
		}
		result, err := New(w.store, 0).Result(t.Context(), w.rec)
		if err != nil {
			t.Fatal(err)
		}
		log, err := w.reader.Log(t.Context(), w.rec, result, schemas.LiveStdout)
		if err == nil {
			_, err = io.ReadAll(log)
			log.Close()
		}
		if !errors.Is(err, objstore.ErrUnavailable) || errors.Is(err, ErrLost) {
			t.Errorf("log breaks off after %d: %v", after, err)
		}
	}
}

// TestLogBounds: the largest log is read to its end, and held to its digest; more is refused.
func TestLogBounds(t *testing.T) {
	t.Parallel()
	whole := packed(strings.Repeat("x", schemas.StdioLog))
	for name, c := range map[string]struct {
		data []byte
		lost bool
	}{
		"largest":                 {whole, false},
		"larger":                  {packed(strings.Repeat("x", schemas.StdioLog+1)), true},
		"bytes behind its end":    {append(bytes.Clone(whole), "behind"...), true},
		"half a frame":            {whole[:len(whole)/2], true},
		"another frame behind it": {append(bytes.Clone(whole), packed("y")...), true},
	} {
		w := newWorld(t)
		object := w.put(schemas.ObjectStdout, c.data)
		w.finish(schemas.Result{Stdout: schemas.Stdio{Bytes: schemas.StdioLog, Truncated: true, Log: &object}})
		got, err := w.log(schemas.LiveStdout)
		if c.lost != errors.Is(err, ErrLost) || !c.lost && (err != nil || len(got) != schemas.StdioLog) || len(got) > schemas.StdioLog {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// TestExecutorNamesAnotherObject: its result is not believed where a log lies.
func TestExecutorNamesAnotherObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{schemas.ObjectResult, "../2/stdout.zst", "", "stderr.zst"} {
		object := *w.rec.Result
		object.Name = name
		w.finish(schemas.Result{Stdout: schemas.Stdio{Bytes: 1, Truncated: true, Log: &object}})
		if _, err := w.log(schemas.LiveStdout); !errors.Is(err, ErrLost) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, o := range []schemas.Object{{Name: "x", Size: -1, SHA256: testDigest}, {Name: "x", Size: 1, SHA256: "md5:1"}, {Name: "x", Size: 1 << 60, SHA256: testDigest}} {
		if _, err := w.reader.Document(t.Context(), w.rec.ResultKey("x"), o, schemas.MaxResultBytes); !errors.Is(err, ErrLost) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestKeptDocuments: what was read once need not be there any more, by its digest.
func TestKeptDocuments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.finish(schemas.Result{})
	w.reader = New(w.store, 1)
	if _, err := w.reader.Result(t.Context(), w.rec); err != nil {
		t.Fatal(err)
	}
	w.damage(schemas.ObjectResult, func([]byte) []byte { return nil })
	if _, err := w.reader.Result(t.Context(), w.rec); err != nil {
		t.Errorf("it was not kept: %v", err)
	}
	w.rec.Result.SHA256 = testDigest
	if _, err := w.reader.Result(t.Context(), w.rec); !errors.Is(err, ErrLost) {
		t.Errorf("another one: %v", err)
	}
}

// FuzzLog: whatever an executor stored, what comes out is bounded, and its errors are losses.
func FuzzLog(f *testing.F) {
	f.Add(packed("hello"))
	f.Add(packed("hello")[:8])
	f.Add([]byte{})
	f.Add(append(packed("a"), packed("b")...))
	f.Fuzz(func(t *testing.T, data []byte) {
		object := objectOf(schemas.ObjectStdout, data)
		rec := schemas.Record{ID: testJob, Tenant: "alice", Attempts: []schemas.Attempt{{N: 1}}}
		log, err := New(memory(data), 0).Log(t.Context(), rec, schemas.Result{Stdout: schemas.Stdio{Log: &object}}, schemas.LiveStdout)
		if err == nil {
			var n int64
			n, err = io.Copy(io.Discard, log)
			log.Close()
			if n > schemas.StdioLog {
				t.Fatalf("%d bytes", n)
			}
		}
		if err != nil && !errors.Is(err, ErrLost) {
			t.Fatal(err)
		}
	})
}
