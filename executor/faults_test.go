package executor_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

func TestMachineThatDoesNotStartIsRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	w.executor("one", &stub{start: func(_ context.Context, n int, _ executor.Shape) error {
		if n == 1 {
			return errors.New("no \x1b[31mboot\n" + strings.Repeat("\xff\u20ac", 2000))
		}
		return nil
	}}, nil)
	rec := w.wait(w.submit(spec()), schemas.StateSucceeded)
	f := rec.Attempts[0].Failure
	if len(rec.Attempts) != 2 || f == nil || f.Code != schemas.FailMachine {
		t.Fatalf("attempts %+v", rec.Attempts)
	}
	if strings.ContainsAny(f.Message, "\x1b\n") || len(f.Message) > schemas.MaxFailureMessage || !strings.HasPrefix(f.Message, "no ") {
		t.Errorf("message %q", f.Message)
	}
}

// TestPlatformFailures maps what breaks to its code, which says whether it is worth a retry.
func TestPlatformFailures(t *testing.T) {
	t.Parallel()
	missing := schemas.File{SHA256: schemas.Digest(make([]byte, 32)), Size: 3}
	for name, tc := range map[string]struct {
		run      func(context.Context, *stubMachine, executor.Work) (executor.Ended, error)
		file     *schemas.File
		attempts int
		want     schemas.FailureCode
	}{
		"guest": {
			run: func(context.Context, *stubMachine, executor.Work) (executor.Ended, error) {
				return executor.Ended{}, &session.GuestError{Kind: session.Hung, Err: errors.New("silence")}
			},
			want: schemas.FailGuest,
		},
		"hostile outputs": {
			run: func(context.Context, *stubMachine, executor.Work) (executor.Ended, error) {
				return executor.Ended{Outputs: bytes.NewReader(bytes.Repeat([]byte("no tar "), 1000))}, nil
			},
			want: schemas.FailGuest,
		},
		"input that is gone": {file: &missing, want: schemas.FailInput},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "one")
			s := &stub{run: tc.run}
			w.executor("one", s, nil)
			job := spec()
			if tc.file != nil {
				job.Files = map[string]schemas.File{"f": *tc.file}
			}
			rec := w.submit(job)
			w.eventually("an attempt has failed", func() bool {
				var err error
				rec, err = w.Get(t.Context(), rec.Tenant, rec.ID)
				return err == nil && len(rec.Attempts) > 0 && rec.Attempts[0].EndedUS != 0
			})
			f := rec.Attempts[0].Failure
			if f == nil || f.Code != tc.want {
				t.Errorf("failure %+v, want %s", f, tc.want)
			}
			if dead := rec.State == schemas.StateDead; dead == tc.want.Retryable() {
				t.Errorf("job is %s", rec.State)
			}
			w.eventually("the machine is closed", func() bool { return s.open() == 0 })
		})
	}
}

// TestABrokenHostDoesNotEatTheQueue: one that fails every job at once leaves them to
// one that is sound and busy.
func TestABrokenHostDoesNotEatTheQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "broken", "sound")
	broken := &stub{start: func(context.Context, int, executor.Shape) error { return errors.New("no room on the disk") }}
	rests := make(chan struct{})
	log := awaited{Handler: w.log.Handler(), message: "takes no more for a while", said: sync.OnceFunc(func() { close(rests) })}
	w.executor("broken", broken, func(c *executor.Config) { c.Log = slog.New(log) })
	w.executor("sound", &stub{run: func(ctx context.Context, _ *stubMachine, _ executor.Work) (executor.Ended, error) {
		select { // it is busy for as long as the other one fails
		case <-rests:
			return executor.Ended{}, nil
		case <-ctx.Done():
			return executor.Ended{}, ctx.Err()
		}
	}}, nil)
	var jobs []schemas.Record
	for range 20 {
		jobs = append(jobs, w.submit(spec()))
	}
	for _, rec := range jobs {
		w.wait(rec, schemas.StateSucceeded)
	}
}

// awaited is a log that tells when something is said.
type awaited struct {
	slog.Handler
	message string
	said    func()
}

func (a awaited) Handle(ctx context.Context, r slog.Record) error {
	if strings.Contains(r.Message, a.message) {
		a.said()
	}
	return a.Handler.Handle(ctx, r)
}

func (a awaited) WithAttrs(attrs []slog.Attr) slog.Handler {
	a.Handler = a.Handler.WithAttrs(attrs)
	return a
}

// TestThisHostsDiskIsNotTheGuestsFault: what can't be written here is our failure.
func TestThisHostsDiskIsNotTheGuestsFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	dir := make(chan string, 1)
	var first atomic.Bool
	e := w.executor("one", &stub{run: func(_ context.Context, _ *stubMachine, work executor.Work) (executor.Ended, error) {
		if first.CompareAndSwap(false, true) {
			work.Stdout(make([]byte, schemas.StdioHead+1)) // has the attempt's folder made
			attempts, err := filepath.Glob(filepath.Join(<-dir, "attempts", "*"))
			if err != nil || len(attempts) != 1 {
				t.Errorf("attempts %q, %v", attempts, err)
			}
			// Nothing can be written where the outputs go.
			if err := os.Mkdir(filepath.Join(attempts[0], schemas.ObjectArchive), 0o700); err != nil {
				t.Error(err)
			}
		}
		return executor.Ended{Outputs: bytes.NewReader(make([]byte, 1024))}, nil
	}}, nil)
	dir <- e.dir
	rec := w.wait(w.submit(spec()), schemas.StateSucceeded)
	if f := rec.Attempts[0].Failure; f == nil || f.Code != schemas.FailInternal {
		t.Errorf("failure %+v", f)
	}
}

func TestUploadThatIsRefusedIsAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	w.setDeny(func(r *http.Request) int {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/1/") {
			return http.StatusBadRequest
		}
		return 0
	})
	w.executor("one", &stub{run: verbose}, nil)
	rec := w.wait(w.submit(spec()), schemas.StateSucceeded)
	f := rec.Attempts[0].Failure
	if len(rec.Attempts) != 2 || f == nil || f.Code != schemas.FailUpload || strings.Contains(f.Message, "?") || strings.Contains(f.Message, "http") {
		t.Errorf("attempts %+v, failure %+v", rec.Attempts, f)
	}
}

func TestStoreThatIsAwayForAMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	var denied atomic.Int32
	w.setDeny(func(r *http.Request) int {
		switch n := denied.Add(1); {
		case n == 1:
			return http.StatusServiceUnavailable
		case n == 2:
			return http.StatusForbidden // as for an expired signature
		}
		return 0
	})
	w.executor("one", &stub{run: verbose}, nil)
	rec := w.wait(w.submit(spec()), schemas.StateSucceeded)
	if len(rec.Attempts) != 1 || denied.Load() < 3 {
		t.Errorf("%d requests, attempts %+v", denied.Load(), rec.Attempts)
	}
}

// TestStoreThatIsAway: what a job has made waits for the store, and no other job
// is taken meanwhile to fare the same.
func TestStoreThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	var away atomic.Bool
	var denied atomic.Int32
	away.Store(true)
	w.setDeny(func(*http.Request) int {
		if !away.Load() {
			return 0
		}
		denied.Add(1)
		return http.StatusInsufficientStorage
	})
	w.executor("one", &stub{run: verbose}, func(c *executor.Config) { c.Slots = 2 })
	first := w.submit(spec())
	w.eventually("the store is found to be away", func() bool { return denied.Load() > 2 })
	second := w.submit(spec())
	tries := denied.Load()
	w.eventually("the first tries again", func() bool { return denied.Load() > tries+2 })
	if rec, err := w.Get(t.Context(), second.Tenant, second.ID); err != nil || len(rec.Attempts) > 0 {
		t.Errorf("the second job was taken although the store is away: %+v, %v", rec.Attempts, err)
	}
	away.Store(false)
	for _, job := range []schemas.Record{first, second} {
		if rec := w.wait(job, schemas.StateSucceeded); len(rec.Attempts) != 1 {
			t.Errorf("attempts %+v", rec.Attempts)
		}
	}
}

// verbose jobs write more than a report and a head hold.
func verbose(_ context.Context, _ *stubMachine, work executor.Work) (executor.Ended, error) {
	work.Stdout(bytes.Repeat([]byte("long\n"), schemas.StdioHead))
	return executor.Ended{Exit: exit(0)}, nil
}

// A job that runs for longer than a lease stays its executor's.
func TestHeartbeatsKeepTheLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	w.executor("one", &stub{run: func(ctx context.Context, _ *stubMachine, _ executor.Work) (executor.Ended, error) {
		select {
		case <-time.After(4 * time.Second): // several leases
			return executor.Ended{}, nil
		case <-ctx.Done():
			return executor.Ended{}, context.Cause(ctx)
		}
	}}, nil)
	if rec := w.wait(w.submit(spec()), schemas.StateSucceeded); len(rec.Attempts) != 1 {
		t.Errorf("attempts %+v", rec.Attempts)
	}
}

func TestFolderThatCannotBeMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one", "other")
	e := w.executor("one", &stub{run: verbose}, nil)
	w.eventually("the executor is known", func() bool { return len(w.Executors()) == 1 })
	spoil(t, e.dir+"/attempts")
	rec := w.submit(spec())
	w.eventually("the attempt has failed", func() bool {
		rec, err := w.Get(t.Context(), rec.Tenant, rec.ID)
		return err == nil && len(rec.Attempts) > 0 && rec.Attempts[0].Failure != nil && rec.Attempts[0].Failure.Code == schemas.FailInternal
	})
	e.stop()
	w.executor("other", &stub{}, nil)
	w.wait(rec, schemas.StateSucceeded)
}

// scripted is a gateway whose answers the test chooses; the queue and the store are real.
type scripted struct {
	w     *world
	pool  string
	spec  schemas.JobSpec
	lost  atomic.Int32 // claims that get no answer
	mu    sync.Mutex
	nonce map[string]int
}

func (g *scripted) claim(_ context.Context, _ string, body []byte) (any, error) {
	c, err := schemas.DecodeControl[schemas.Claim](body)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.nonce[c.Nonce]++
	g.mu.Unlock()
	if g.lost.Add(-1) >= 0 {
		return nil, errors.New("the answer is lost")
	}
	return schemas.ClaimReply{Answer: schemas.AnswerGranted, Grant: &schemas.Grant{
		Attempt: 1, Image: imageRef(), Needs: g.spec.Requires, Spec: &g.spec, QueuedUS: time.Now().Add(time.Hour).UnixMicro(),
	}}, nil
}

func (g *scripted) hello(context.Context, string, []byte) (any, error) {
	return schemas.HelloReply{BeatMS: 100, LeaseMS: 1000, Pools: map[string]int{g.pool: 0}}, nil
}

func (g *scripted) beat(context.Context, string, []byte) (any, error) {
	return schemas.BeatReply{Pools: map[string]int{g.pool: 0}}, nil
}

// TestLostClaimReply: the nonce of every try is the same, so one attempt comes of
// them; and a gateway whose clock is ahead by an hour spoils no result.
func TestLostClaimReply(t *testing.T) {
	t.Parallel()
	for name, verdict := range map[string]schemas.Verdict{"nobody takes the report": "", "nobody can tell of the report": schemas.VerdictAgain} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lostClaimReply(t, verdict)
		})
	}
}

func lostClaimReply(t *testing.T, verdict schemas.Verdict) {
	w := emptyWorld(t, "one")
	g := &scripted{w: w, spec: spec(), nonce: map[string]int{}}
	g.pool = g.spec.Requires.Pool()
	g.lost.Store(1)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	t.Cleanup(func() { cancel(); serving.Wait() })
	serve := map[string]jobqueue.Handler{schemas.VerbHello: g.hello, schemas.VerbBeat: g.beat, schemas.VerbClaim: g.claim}
	if verdict != "" {
		serve[schemas.VerbReport] = func(context.Context, string, []byte) (any, error) { return schemas.ReportReply{Verdict: verdict}, nil }
	}
	for verb, h := range serve {
		serving.Go(func() {
			if err := w.queue.Serve(ctx, verb, true, h); err != nil {
				t.Error(err)
			}
		})
	}
	if err := w.queue.EnsurePool(t.Context(), g.pool); err != nil {
		t.Fatal(err)
	}
	w.executor("one", &stub{}, nil)
	job, err := schemas.NewJobID(time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	place := jobqueue.Place{Pool: g.pool, Lane: schemas.LaneBatch, Tenant: schemas.SingleTenant, Job: job}
	if _, err := w.queue.PublishOffer(t.Context(), place, job+".1"); err != nil {
		t.Fatal(err)
	}
	// Its report is left on the stream.
	rec := schemas.Record{Tenant: schemas.SingleTenant, ID: job, Attempts: []schemas.Attempt{{N: 1}}}
	w.eventually("the attempt is reported", func() bool {
		_, event, err := w.queue.FindEvent(t.Context(), "one", job, 1)
		rec.ResultInline = event.ResultInline
		return err == nil
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.nonce) != 1 {
		t.Errorf("nonces %v", g.nonce)
	}
	for _, s := range w.result(rec).Spans {
		if s.EndUS < s.StartUS {
			t.Errorf("span %+v", s)
		}
	}
}

// A queue that is away while a job runs costs it nothing.
func TestQueueRestartsInMidRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "one")
	b := newBlocks()
	w.executor("one", &stub{run: b.run}, nil)
	rec := w.submit(spec())
	b.wait(w, 1)
	w.server.Restart(t)
	close(b.release)
	if rec = w.wait(rec, schemas.StateSucceeded); len(rec.Attempts) != 1 {
		t.Errorf("attempts %+v", rec.Attempts)
	}
	w.wait(w.submit(spec()), schemas.StateSucceeded)
}
