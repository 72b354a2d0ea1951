package executor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/schemas"
)

func TestStopInMidRunIsSilent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	b := newBlocks()
	s := &stub{run: b.run}
	e := w.executor("one", s, nil)
	rec := w.submit(spec())
	b.wait(w, 1)
	if _, err := w.Cancel(t.Context(), rec.Tenant, rec.ID); err != nil {
		t.Fatal(err)
	}
	rec = w.wait(rec, schemas.StateCancelled)
	w.eventually("the machine is closed", func() bool { return s.open() == 0 && len(e.leftovers(t)) == 0 })
	stoppedAsAsked(t, rec)
}

// stoppedAsAsked: the gateway itself ended the attempt, before anything was reported of it.
func stoppedAsAsked(t *testing.T, rec schemas.Record) {
	t.Helper()
	if f := rec.Attempts[0].Failure; f == nil || f.Message != "stopped, as the client asked" {
		t.Errorf("a stopped attempt was reported: %+v", rec.Attempts)
	}
}

// A machine that ends only when its attempt is stopped must be stopped while it starts, too.
func TestStopWhileTheMachineStarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	begun := make(chan struct{})
	s := &stub{start: func(ctx context.Context, _ int, _ executor.Shape) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}}
	w.executor("one", s, nil)
	rec := w.submit(spec())
	<-begun
	if _, err := w.Cancel(t.Context(), rec.Tenant, rec.ID); err != nil {
		t.Fatal(err)
	}
	rec = w.wait(rec, schemas.StateCancelled)
	w.eventually("the start has ended", func() bool { return s.open() == 0 })
	stoppedAsAsked(t, rec)
}

func TestShutdownHandsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "first", "second")
	b := newBlocks()
	s := &stub{run: b.run}
	first := w.executor("first", s, func(c *executor.Config) { c.Grace = 10 * time.Millisecond })
	rec := w.submit(spec())
	b.wait(w, 1)
	first.stop()
	if left := first.leftovers(t); len(left) > 0 || s.open() > 0 {
		t.Errorf("left behind: %q, %d machines", left, s.open())
	}
	w.executor("second", &stub{}, nil)
	rec = w.wait(rec, schemas.StateSucceeded)
	if f := rec.Attempts[0].Failure; len(rec.Attempts) != 2 || f == nil || f.Code != schemas.FailHandback || rec.Attempts[1].Executor != "second" {
		t.Errorf("attempts %+v", rec.Attempts)
	}
}

func TestShutdownLetsJobsFinish(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	b := newBlocks()
	e := w.executor("one", &stub{run: b.run}, nil)
	rec, waiting := w.submit(spec()), w.submit(spec())
	b.wait(w, 1)
	e.ask()
	close(b.release)
	e.stop()
	// One of the two ran; whatever comes first, the other must not have begun.
	w.eventually("one job has ended", func() bool {
		a, errA := w.Get(t.Context(), rec.Tenant, rec.ID)
		b, errB := w.Get(t.Context(), waiting.Tenant, waiting.ID)
		return errA == nil && errB == nil && a.State != b.State &&
			(a.State == schemas.StateSucceeded || b.State == schemas.StateSucceeded) &&
			(a.State == schemas.StateQueued || b.State == schemas.StateQueued)
	})
}

// TestNothingIsLeftAfterRun is not parallel: it counts goroutines.
func TestNothingIsLeftAfterRun(t *testing.T) {
	w := newWorld(t, "one")
	b := newBlocks()
	e := w.executor("one", &stub{run: b.run}, func(c *executor.Config) { c.Slots, c.Grace = 3, time.Millisecond })
	for range 3 {
		w.submit(spec())
	}
	b.wait(w, 3)
	e.stop()
	w.eventually("no goroutine of the executor is left", func() bool { return len(goroutines()) == 0 })
}

// goroutines are the stacks that run code of the executor, not its tests'.
func goroutines() []string {
	buf := make([]byte, 1<<22)
	var found []string
	for _, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "pe/executor.(*") || strings.Contains(stack, "jobqueue.(*Puller)") {
			found = append(found, stack)
		}
	}
	return found
}

func TestLateReaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	wrote, release := make(chan struct{}), make(chan struct{})
	w.executor("one", &stub{run: func(_ context.Context, _ *stubMachine, work executor.Work) (executor.Ended, error) {
		work.Stdout(bytes.Repeat([]byte("x"), 300_000))
		work.Stderr([]byte("bad \xff byte"))
		close(wrote)
		<-release
		return executor.Ended{}, nil
	}}, nil)
	rec := w.submit(spec())
	<-wrote
	held := heldOf(rec, 1)
	if r := readLog(w, held, schemas.LiveStdout, 10); len(r.Data) != schemas.MaxLogChunk || r.End != 300_000 || r.Gone {
		t.Errorf("%d bytes, end %d, gone %v", len(r.Data), r.End, r.Gone)
	}
	if r := readLog(w, held, schemas.LiveStderr, 4); string(r.Data) != "\xff byte" {
		t.Errorf("stderr %q", r.Data)
	}
	if r := readLog(w, heldOf(rec, 2), schemas.LiveStdout, 0); !r.Gone {
		t.Error("an attempt that isn't held is not gone")
	}
	// Readers that come as the attempt ends get an answer all the same.
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !readLog(w, held, schemas.LiveStdout, 0).Gone {
			}
		})
	}
	close(release)
	w.wait(rec, schemas.StateSucceeded)
	readers.Wait()
}

func readLog(w *world, held schemas.Held, stream string, offset int64) (reply schemas.LogsReply) {
	ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
	defer cancel()
	ask := schemas.LogsRequest{Held: held, Stream: stream, Offset: offset}
	if err := w.queue.Command(ctx, "one", schemas.CommandLogs, ask, &reply); err != nil {
		w.Error(err)
		reply.Gone = true
	}
	return reply
}

// TestLiveFeed hears what a watcher hears.
func TestLiveFeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	begun, release := make(chan struct{}), make(chan struct{})
	w.executor("one", &stub{run: func(_ context.Context, _ *stubMachine, work executor.Work) (executor.Ended, error) {
		close(begun)
		<-release
		work.Stdout(bytes.Repeat([]byte("y"), 2*schemas.MaxLogChunk+1))
		return executor.Ended{}, nil
	}}, nil)
	rec := w.submit(spec())
	<-begun
	l, err := w.queue.Listen(rec.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	close(release)
	var heard int64
	var stages []string
	for heard < 2*schemas.MaxLogChunk+1 || !slices.Contains(stages, schemas.SpanUploaded) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		m, err := l.Next(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		switch m.Kind {
		case schemas.LiveStdout:
			c, err := schemas.DecodeControl[schemas.LogChunk](m.Body)
			if err != nil || c.Offset != heard {
				t.Fatalf("chunk at %d, want %d: %v", c.Offset, heard, err)
			}
			heard += int64(len(c.Data))
		case schemas.LiveStage:
			var s schemas.Stage
			if err := json.Unmarshal(m.Body, &s); err != nil {
				t.Fatal(err)
			}
			stages = append(stages, s.Name)
		}
	}
	// What was sent before we listened may come too.
	if got := strings.Join(stages, " "); !strings.HasSuffix("staged booted running collected uploaded", got) {
		t.Errorf("stages %s", got)
	}
}
