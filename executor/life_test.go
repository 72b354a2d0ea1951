package executor_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// TestWholeLife takes a job with every kind of input and output from offer to record.
func TestWholeLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	log := strings.Repeat("a line of the log\n", 10_000)
	inputs := map[string]string{}
	s := &stub{run: func(_ context.Context, m *stubMachine, work executor.Work) (executor.Ended, error) {
		if work.Job.Input.Root {
			inputs = readTar(t, io.NewSectionReader(m.input, 0, work.InputBytes))
		}
		stdin, err := io.ReadAll(work.Stdin)
		work.Stdout([]byte(log))
		work.Stderr(stdin)
		out := tarOf(t,
			tar.Header{Name: "kept", Size: 5, Mode: 0o640},
			tar.Header{Name: "also", Typeflag: tar.TypeLink, Linkname: "kept"},
			tar.Header{Name: "escape", Typeflag: tar.TypeSymlink, Linkname: "../../etc/passwd"},
			tar.Header{Name: "null", Typeflag: tar.TypeChar})
		return executor.Ended{
			Exit: exit(0), Outputs: bytes.NewReader(out),
			Collected: guestproto.Collected{Bytes: int64(len(out)), Skipped: 1, SkippedPaths: []string{`"a\nsocket": socket`}},
			Guest:     guestproto.Ready{Kernel: strings.Repeat("k", 1000), CPUModel: "cpu"}, MachineBytes: 256 << 20,
		}, err
	}}
	e := w.executor("one", s, nil)
	text, coded, stdin := "hello", base64.StdEncoding.EncodeToString([]byte{0, 1, 2}), "typed"
	job := spec()
	job.Stdin = &schemas.Stdin{Text: &stdin}
	job.Files = map[string]schemas.File{
		"a.txt": {Text: &text}, "b.bin": {Base64: &coded, Mode: "0755"}, "/data/large": w.blob(large), "again": w.blob(large), "empty": w.blob(nil),
	}
	rec := w.wait(w.submit(job), schemas.StateSucceeded)
	want := map[string]string{"work/a.txt": text, "work/b.bin": "\x00\x01\x02", "data/large": string(large), "work/again": string(large), "work/empty": ""}
	if !maps.Equal(inputs, want) {
		t.Errorf("the machine got %d inputs: %q", len(inputs), slices.Sorted(maps.Keys(inputs)))
	}
	r := w.result(rec)
	checkTiles(t, rec, r.Spans)
	checkLog(t, w, rec, r.Stdout, log)
	if r.Stderr.Text != stdin || r.Stderr.Log != nil {
		t.Errorf("stderr %+v", r.Stderr)
	}
	var listed []string
	for _, o := range r.Outputs {
		listed = append(listed, fmt.Sprintf("%s %s %d %s", o.Path, o.Type, o.Size, o.Mode))
	}
	if got := strings.Join(listed, ", "); got != "kept file 5 0640, also file 5 0000" || r.OutputsTotal != 2 || r.Outputs[0].SHA256 != r.Outputs[1].SHA256 {
		t.Errorf("outputs %s of %d", got, r.OutputsTotal)
	}
	if r.SkippedTotal != 3 || r.Skipped[0].Path != "a\nsocket" || r.Skipped[0].Reason != "socket" {
		t.Errorf("skipped %d: %+v", r.SkippedTotal, r.Skipped)
	}
	if got := readTar(t, unpacked(t, w.object(rec, schemas.ObjectArchive))); got["kept"] != "xxxxx" {
		t.Errorf("archive holds %q", got)
	}
	if len(r.RanOn.Kernel) > 256 || r.RanOn.Executor != "one" || r.RanOn.ImageDigest != imageRef().Digest {
		t.Errorf("ran on %+v", r.RanOn)
	}
	e.stop()
	if left := e.leftovers(t); len(left) > 0 || s.open() > 0 {
		t.Errorf("left behind: %q, %d machines", left, s.open())
	}
}

// checkTiles holds the spans to the design: no time of the job is unexplained but
// the report's, which the gateway adds.
func checkTiles(t *testing.T, rec schemas.Record, spans []schemas.Span) {
	t.Helper()
	at, gaps, seen := rec.QueuedUS, int64(0), map[string]bool{}
	for _, s := range spans {
		gaps += max(0, s.StartUS-at)
		at = max(at, s.EndUS)
		if seen[s.Name] {
			t.Errorf("span %s comes twice", s.Name)
		}
		seen[s.Name] = true
	}
	if total := rec.EndedUS - rec.QueuedUS; gaps*20 > total {
		t.Errorf("%d of %d microseconds are unexplained: %+v", gaps, total, spans)
	}
	for _, name := range []string{schemas.SpanQueued, schemas.SpanClaimed, schemas.SpanStaged, schemas.SpanBooted, schemas.SpanRunning, schemas.SpanCollected, schemas.SpanUploaded} {
		if !seen[name] {
			t.Errorf("no span %s", name)
		}
	}
}

func checkLog(t *testing.T, w *world, rec schemas.Record, s schemas.Stdio, log string) {
	t.Helper()
	if s.Bytes != int64(len(log)) || !s.Truncated || s.Text != log[:schemas.StdioHead] || s.Log == nil {
		t.Errorf("head of %d bytes, %d in all, object %+v", len(s.Text), s.Bytes, s.Log)
		return
	}
	whole, err := io.ReadAll(unpacked(t, w.object(rec, schemas.ObjectStdout)))
	if err != nil || string(whole) != log {
		t.Errorf("the whole log has %d bytes, %v", len(whole), err)
	}
}

func unpacked(t *testing.T, packed []byte) io.Reader {
	t.Helper()
	dec, err := zstd.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dec.Close)
	return dec
}

func readTar(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Error(err)
			return files
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Error(err)
		}
		files[h.Name] = string(content)
	}
}

// tarOf makes a tar in which every file is full of x.
func tarOf(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTwoSlotsRunTwoJobsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "two")
	b := newBlocks()
	w.executor("two", &stub{run: b.run}, func(c *executor.Config) { c.Slots = 2 })
	jobs := []schemas.Record{w.submit(spec()), w.submit(spec()), w.submit(spec())}
	b.wait(w, 2)
	select {
	case <-b.begun:
		t.Error("two slots run three jobs")
	default:
	}
	close(b.release)
	for _, rec := range jobs {
		w.wait(rec, schemas.StateSucceeded)
	}
}

func TestProgramThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	w.executor("one", &stub{run: func(context.Context, *stubMachine, executor.Work) (executor.Ended, error) {
		return executor.Ended{
			Exit:      guestproto.Exit{Signal: 9, Limit: guestproto.LimitMemory, LimitsHit: []string{guestproto.LimitLog, guestproto.LimitMemory, guestproto.LimitOutput}},
			Collected: guestproto.Collected{Limit: guestproto.LimitOutput},
		}, nil
	}}, nil)
	rec := w.wait(w.submit(spec()), schemas.StateFailed)
	if o := w.result(rec).Outcome; o.Signal != "SIGKILL" || o.Limit != "memory" || !slices.Equal(o.LimitsHit, []string{"memory", "output"}) || len(rec.Attempts) != 1 {
		t.Errorf("outcome %+v after %d attempts", o, len(rec.Attempts))
	}
}

func TestLargeSpecification(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	var got string
	w.executor("one", &stub{run: func(_ context.Context, m *stubMachine, work executor.Work) (executor.Ended, error) {
		got = readTar(t, io.NewSectionReader(m.input, 0, work.InputBytes))["large"]
		return executor.Ended{}, nil
	}}, nil)
	large := strings.Repeat("x", 2*schemas.MaxGrantedSpec)
	job := spec()
	job.Files = map[string]schemas.File{"large": {Text: &large}}
	w.wait(w.submit(job), schemas.StateSucceeded)
	if got != large {
		t.Errorf("%d bytes arrived", len(got))
	}
}

// TestStagesAhead: while one job runs in the only slot, the next is staged and
// has its machine, and begins when the slot is free. The third waits in the queue.
func TestStagesAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	b := newBlocks()
	s := &stub{run: b.run}
	w.executor("one", s, func(c *executor.Config) { c.StageAhead = 1 })
	first := w.submit(spec())
	b.wait(w, 1)
	second := w.submit(spec())
	w.eventually("the second has a machine", func() bool { return s.open() == 2 })
	third := w.submit(spec())
	w.heard("one", 3) // it had its chance to take the third
	if n := s.open(); n != 2 || len(b.begun) != 0 {
		t.Errorf("%d machines, %d more run", n, len(b.begun))
	}
	close(b.release)
	for _, rec := range []schemas.Record{first, second, third} {
		w.wait(rec, schemas.StateSucceeded)
	}
}

// An executor that shuts down hands back at once what it has only staged.
func TestStagedJobsAreHandedBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one", "other")
	b := newBlocks()
	s := &stub{run: b.run}
	one := w.executor("one", s, func(c *executor.Config) { c.StageAhead, c.Grace = 1, time.Minute })
	first := w.submit(spec())
	b.wait(w, 1)
	second := w.submit(spec())
	w.eventually("the second has a machine", func() bool { return s.open() == 2 })
	one.ask()
	w.executor("other", &stub{}, nil)
	ended := w.wait(second, schemas.StateSucceeded)
	if len(ended.Attempts) != 2 || ended.Attempts[0].Failure.Code != schemas.FailHandback || ended.Attempts[1].Executor != "other" {
		t.Errorf("attempts %+v", ended.Attempts)
	}
	close(b.release)
	if rec := w.wait(first, schemas.StateSucceeded); len(rec.Attempts) != 1 {
		t.Errorf("the running one had %d attempts", len(rec.Attempts))
	}
}
