package coordinator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/schemas"
)

// world is a real NATS server, a real store, and coordinators and executors that speak to them.
type world struct {
	testing.TB
	server *queuetest.Server
	// queues makes connections: to the server, or to a cluster.
	queues queues
	store  objstore.Store
	log    *slog.Logger
}

type queues interface {
	Gateway(testing.TB, *slog.Logger) *jobqueue.Queue
	Executor(t testing.TB, id string, log *slog.Logger) *jobqueue.Queue
}

func newWorld(t testing.TB, executors ...string) *world {
	t.Helper()
	w := worldWith(t, nil)
	w.server = queuetest.Start(t, executors...)
	w.queues = w.server
	return w
}

// worldWith is a world without a server of its own.
func worldWith(t testing.TB, q queues) *world {
	t.Helper()
	store, err := dir.Open(dir.Config{Path: t.TempDir(), BaseURL: func() string { return "http://127.0.0.1:1/" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return &world{
		TB:     t,
		queues: q,
		store:  store,
		log:    slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
}

// gateway is a coordinator that runs.
type gateway struct {
	*coordinator.Coordinator
	stop func()
}

// gateway starts a coordinator, which stops with the test or before.
func (w *world) gateway(change func(*coordinator.Config)) *gateway {
	w.Helper()
	cfg := coordinator.Config{Queue: w.queues.Gateway(w, w.log), Store: w.store, Log: w.log}
	if change != nil {
		change(&cfg)
	}
	c, err := coordinator.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			w.Errorf("Run: %v", err)
		}
	})
	g := &gateway{Coordinator: c, stop: sync.OnceFunc(func() { cancel(); running.Wait() })}
	w.Cleanup(g.stop)
	w.eventually("coordinator is ready", func() bool { return c.Ready() == nil })
	return g
}

// quick makes leases short: for tests that wait for one to end.
func quick(c *coordinator.Config) {
	c.Lease, c.Beat, c.Reconcile = 1200*time.Millisecond, 200*time.Millisecond, 300*time.Millisecond
}

// patience bounds every wait for what must happen.
const patience = 60 * time.Second

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

func spec() schemas.JobSpec {
	s := schemas.JobSpec{Image: "busybox", Args: []string{"true"}}
	s.Requires.Arch = "amd64"
	return s.WithDefaults()
}

func (w *world) submit(g *gateway, spec schemas.JobSpec) schemas.Record {
	w.Helper()
	rec, created, err := g.Submit(w.Context(), submission(spec))
	if err != nil || !created {
		w.Fatalf("Submit = %v, %v", created, err)
	}
	return rec
}

func submission(spec schemas.JobSpec) coordinator.Submission {
	return coordinator.Submission{
		Tenant: schemas.SingleTenant, Spec: spec,
		Image: schemas.ImageRef{Reference: "docker.io/library/busybox", Digest: schemas.Digest(make([]byte, 32))},
	}
}

// wait waits for a state of the job.
func (w *world) wait(g *gateway, rec schemas.Record, states ...schemas.State) schemas.Record {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	rec, err := g.Wait(ctx, rec.Tenant, rec.ID, func(r schemas.Record) bool {
		for _, s := range states {
			if r.State == s {
				return true
			}
		}
		return false
	})
	if err != nil {
		w.Fatalf("job is %s, want %v: %v", rec.State, states, err)
	}
	return rec
}

// put stores an object of an attempt, as its executor does with a signed request.
func (w *world) put(held schemas.Held, name string, v any) schemas.Object {
	data, err := json.Marshal(v)
	if err != nil {
		w.Error(err)
	}
	return w.putBytes(held, name, data)
}

func (w *world) putBytes(held schemas.Held, name string, data []byte) schemas.Object {
	key := schemas.AttemptKey(held.Tenant, held.Job, held.Attempt, name)
	info, err := w.store.Put(context.Background(), key, bytes.NewReader(data), objstore.PutOptions{Size: int64(len(data))})
	if err != nil {
		w.Error(err)
	}
	return schemas.Object{Name: name, Size: info.Size, SHA256: schemas.DigestPrefix + info.SHA256}
}

func (w *world) stored(held schemas.Held, name string) bool {
	_, err := w.store.Stat(w.Context(), schemas.AttemptKey(held.Tenant, held.Job, held.Attempt, name))
	return err == nil
}

// object reads an object.
func (w *world) object(key string) string {
	w.Helper()
	body, _, err := w.store.Get(w.Context(), key, objstore.Range{})
	if err != nil {
		w.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		w.Error(err)
	}
	return string(data)
}
