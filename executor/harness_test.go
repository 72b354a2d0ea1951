package executor_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/noop"
	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// patience bounds every wait for what must happen.
const patience = 60 * time.Second

// world is a real NATS server, a real store behind HTTP, and, for most tests, a
// real coordinator. Only the machines of its executors are functions.
type world struct {
	testing.TB
	server *queuetest.Server
	queue  *jobqueue.Queue // a gateway's
	store  *dir.Store
	log    *slog.Logger
	*coordinator.Coordinator

	mu sync.Mutex
	// deny, if set, answers an object's request with a status instead of the store, unless 0.
	deny func(*http.Request) int
}

// emptyWorld has no coordinator.
func emptyWorld(t testing.TB, executors ...string) *world {
	t.Helper()
	w := &world{TB: t, log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))}
	if _, bench := t.(*testing.B); bench {
		w.log = slog.New(slog.DiscardHandler)
	}
	var objects *httptest.Server
	store, err := dir.Open(dir.Config{Path: t.TempDir(), BaseURL: func() string { return objects.URL + "/" }})
	if err != nil {
		t.Fatal(err)
	}
	w.store = store
	t.Cleanup(func() { store.Close() })
	handler := store.Handler()
	objects = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if status := w.denied(r); status != 0 {
			http.Error(rw, "denied", status)
			return
		}
		handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(objects.Close)
	w.server = queuetest.Start(t, executors...)
	w.queue = w.server.Gateway(t, w.log)
	return w
}

func (w *world) denied(r *http.Request) int {
	w.mu.Lock()
	deny := w.deny
	w.mu.Unlock()
	if deny == nil {
		return 0
	}
	return deny(r)
}

func (w *world) setDeny(deny func(*http.Request) int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deny = deny
}

// newWorld has a coordinator, with short leases.
func newWorld(t testing.TB, executors ...string) *world {
	t.Helper()
	return coordinated(t, coordinator.Config{
		Lease: 1500 * time.Millisecond, Beat: 200 * time.Millisecond, Reconcile: 300 * time.Millisecond,
	}, executors...)
}

func coordinated(t testing.TB, cfg coordinator.Config, executors ...string) *world {
	t.Helper()
	w := emptyWorld(t, executors...)
	cfg.Queue, cfg.Store, cfg.Log = w.queue, w.store, w.log
	c, err := coordinator.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Coordinator = c
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Errorf("coordinator: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	w.eventually("coordinator is ready", func() bool { return c.Ready() == nil })
	return w
}

// eventually waits for what nothing tells of.
func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			w.Fatalf("not in %s: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// heard returns when an executor was heard so many times more.
func (w *world) heard(id string, times int) {
	w.Helper()
	seen := func() (us int64) {
		for _, e := range w.Executors() {
			if e.Facts.Executor == id {
				us = e.SeenUS
			}
		}
		return us
	}
	for range times {
		before := seen()
		w.eventually(id+" was heard again", func() bool { return seen() > before })
	}
}

// running is an executor that runs.
type running struct {
	*executor.Executor
	dir string
	// stop ends it as a signal would, and returns when Run has returned.
	stop func()
	// ask only begins to.
	ask context.CancelFunc
}

// executor starts one, which stops with the test or before.
func (w *world) executor(id string, runner executor.Runner, change func(*executor.Config)) *running {
	w.Helper()
	cfg := executor.Config{
		ID: id, Dir: w.TempDir(), Queue: w.server.Executor(w, id, w.log), Images: noop.Images{},
		Runners: []executor.Runner{runner}, Grace: patience, Log: w.log,
	}
	if change != nil {
		change(&cfg)
	}
	e, err := executor.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() {
		if err := e.Run(ctx); err != nil {
			w.Errorf("executor %s: %v", id, err)
		}
	})
	r := &running{Executor: e, dir: cfg.Dir, ask: cancel, stop: sync.OnceFunc(func() { cancel(); over.Wait() })}
	w.Cleanup(r.stop)
	return r
}

// leftovers are the attempts that have a folder.
func (r *running) leftovers(t testing.TB) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(r.dir, "attempts", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// stub is a runner whose machines are functions.
type stub struct {
	// start, if set, may refuse to make the n-th machine, from 1.
	start func(ctx context.Context, n int, shape executor.Shape) error
	run   func(ctx context.Context, m *stubMachine, work executor.Work) (executor.Ended, error)

	mu              sync.Mutex
	started, closed int
}

func (s *stub) Offering() schemas.Offering {
	return schemas.Offering{Arch: "amd64", Isolation: schemas.IsolationVM, Accel: "tcg", Kernel: "6.1.0"}
}

func (s *stub) Start(ctx context.Context, shape executor.Shape) (executor.Machine, error) {
	s.mu.Lock()
	s.started++
	n := s.started
	s.mu.Unlock()
	input, err := os.CreateTemp("", "stub-input-")
	if err != nil {
		return nil, err
	}
	m := &stubMachine{s: s, shape: shape, input: input, ready: make(chan struct{})}
	go func() {
		defer close(m.ready)
		begin := time.Now()
		if s.start != nil {
			m.err = s.start(ctx, n, shape)
		}
		m.booted = span(schemas.SpanBooted, begin, time.Now())
	}()
	return m, os.Remove(input.Name())
}

// open counts the machines that were not closed.
func (s *stub) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started - s.closed
}

type stubMachine struct {
	s      *stub
	shape  executor.Shape
	input  *os.File
	ready  chan struct{}
	booted schemas.Span
	err    error
	once   sync.Once
}

func (m *stubMachine) Input() *os.File { return m.input }

func (m *stubMachine) Run(ctx context.Context, work executor.Work) (executor.Ended, error) {
	work.Stage(schemas.SpanBooted)
	if <-m.ready; m.err != nil {
		return executor.Ended{}, &executor.StartError{Err: m.err}
	}
	begin := time.Now()
	work.Stage(schemas.SpanRunning)
	ended, err := executor.Ended{}, error(nil)
	if m.s.run != nil {
		ended, err = m.s.run(ctx, m, work)
	}
	ended.Spans = append(ended.Spans, m.booted, span(schemas.SpanPrepared, time.UnixMicro(m.booted.EndUS), begin), span(schemas.SpanRunning, begin, time.Now()))
	return ended, err
}

func (m *stubMachine) Close() error {
	m.once.Do(func() {
		<-m.ready
		m.input.Close()
		m.s.mu.Lock()
		m.s.closed++
		m.s.mu.Unlock()
	})
	return nil
}

func span(name string, start, end time.Time) schemas.Span {
	return schemas.Span{Name: name, StartUS: start.UnixMicro(), EndUS: end.UnixMicro()}
}

// blocks is a run that tells when it has begun and ends when it is released, or stopped.
type blocks struct {
	begun   chan struct{}
	release chan struct{}
}

func newBlocks() *blocks {
	return &blocks{begun: make(chan struct{}, 16), release: make(chan struct{})}
}

func (b *blocks) run(ctx context.Context, _ *stubMachine, _ executor.Work) (executor.Ended, error) {
	b.begun <- struct{}{}
	select {
	case <-b.release:
		return executor.Ended{}, nil
	case <-ctx.Done():
		return executor.Ended{}, errors.New("the machine died of being stopped")
	}
}

// wait returns when n runs have begun.
func (b *blocks) wait(w *world, n int) {
	w.Helper()
	for range n {
		select {
		case <-b.begun:
		case <-time.After(patience):
			w.Fatalf("no run has begun in %s", patience)
		}
	}
}

func spec() schemas.JobSpec {
	s := schemas.JobSpec{Image: "busybox", Args: []string{"true"}}
	s.Requires.Arch = "amd64"
	return s.WithDefaults()
}

func imageRef() schemas.ImageRef {
	return schemas.ImageRef{Reference: "docker.io/library/busybox", Digest: schemas.Digest(make([]byte, 32))}
}

func (w *world) submit(spec schemas.JobSpec) schemas.Record {
	w.Helper()
	rec, _, err := w.Submit(w.Context(), coordinator.Submission{Tenant: schemas.SingleTenant, Spec: spec, Image: imageRef()})
	if err != nil {
		w.Fatal(err)
	}
	return rec
}

// wait waits for a state of the job.
func (w *world) wait(rec schemas.Record, state schemas.State) schemas.Record {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	rec, err := w.Wait(ctx, rec.Tenant, rec.ID, func(r schemas.Record) bool { return r.State == state })
	if err != nil {
		w.Fatalf("job is %s, want %s: %v; attempts %+v", rec.State, state, err, rec.Attempts)
	}
	return rec
}

// result reads the accepted result, as strictly as a gateway does.
func (w *world) result(rec schemas.Record) schemas.Result {
	w.Helper()
	if !rec.HasResult() {
		w.Fatalf("no result: %+v", rec)
	}
	data := []byte(rec.ResultInline)
	if data == nil {
		data = w.object(rec, schemas.ObjectResult)
	}
	r, err := schemas.DecodeResult(bytes.NewReader(data))
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *world) object(rec schemas.Record, name string) []byte {
	w.Helper()
	key := schemas.AttemptKey(rec.Tenant, rec.ID, len(rec.Attempts), name)
	body, _, err := w.store.Get(w.Context(), key, objstore.Range{})
	if err != nil {
		w.Fatal(err)
	}
	defer body.Close()
	var content bytes.Buffer
	if _, err := content.ReadFrom(body); err != nil {
		w.Fatal(err)
	}
	return content.Bytes()
}

// blob stores an input, as a client does.
func (w *world) blob(content []byte) schemas.File {
	w.Helper()
	sum := sha256.Sum256(content)
	digest := schemas.Digest(sum[:])
	hex, err := schemas.ParseDigest(digest)
	if err != nil {
		w.Fatal(err)
	}
	_, err = w.store.Put(w.Context(), schemas.InputKey(schemas.SingleTenant, hex), bytes.NewReader(content),
		objstore.PutOptions{Size: int64(len(content)), SHA256: hex})
	if err != nil {
		w.Fatal(err)
	}
	return schemas.File{SHA256: digest, Size: int64(len(content))}
}

func heldOf(rec schemas.Record, attempt int) schemas.Held {
	return schemas.Held{Tenant: rec.Tenant, Job: rec.ID, Attempt: attempt}
}

func exit(code int) guestproto.Exit { return guestproto.Exit{Code: code} }

// spoil puts a file in a folder's place.
func spoil(t testing.TB, folder string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(folder), os.WriteFile(folder, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
}
