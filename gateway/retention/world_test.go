package retention_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/gateway/retention"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/schemas"
)

const (
	day    = 24 * time.Hour
	tenant = "alice"
)

// policy of most tests.
var policy = retention.Policy{Outputs: 7 * day, Inputs: 8 * day, Records: 30 * day}

// world is a real queue, a real store, and a clock that can be put on.
type world struct {
	testing.TB
	store  objstore.Store
	queue  *jobqueue.Queue
	ahead  atomic.Int64
	log    *slog.Logger
	policy retention.Policy
}

func newWorld(t testing.TB) *world {
	t.Helper()
	store, err := dir.Open(dir.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return worldWith(t, store)
}

func worldWith(t testing.TB, store objstore.Store) *world {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	return &world{TB: t, store: store, queue: queuetest.Start(t).Gateway(t, log), log: log, policy: policy}
}

func (w *world) now() time.Time             { return time.Now().Add(time.Duration(w.ahead.Load())) }
func (w *world) later(d time.Duration)      { w.ahead.Add(int64(d)) }
func (w *world) us(ago time.Duration) int64 { return w.now().Add(-ago).UnixMicro() }

// gateway is a coordinator that runs, and its sweeper.
type gateway struct {
	*coordinator.Coordinator
	*retention.Sweeper
	// stop ends it, as a process that dies does.
	stop func()
}

// gateway starts one over a store, which may break.
func (w *world) gateway(store objstore.Store) *gateway {
	w.Helper()
	stored := retention.NewStored(w.queue, 0, w.now)
	if err := stored.Load(w.Context()); err != nil {
		w.Fatal(err)
	}
	c, err := coordinator.New(coordinator.Config{Queue: w.queue, Store: store, Ledger: stored, Log: w.log, Now: w.now})
	if err != nil {
		w.Fatal(err)
	}
	s, err := retention.New(retention.Config{Jobs: c, Queue: w.queue, Store: store, Stored: stored, Policy: w.policy, Log: w.log, Now: w.now})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			w.Error(err)
		}
	})
	running.Go(func() {
		if err := stored.Watch(ctx); err != nil && ctx.Err() == nil {
			w.Error(err)
		}
	})
	g := &gateway{Coordinator: c, Sweeper: s, stop: sync.OnceFunc(func() { cancel(); running.Wait() })}
	w.Cleanup(g.stop)
	w.caughtUp(g)
	return g
}

// caughtUp waits until the gateway knows all records.
func (w *world) caughtUp(g *gateway) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	if err := g.CatchUp(ctx); err != nil {
		w.Fatal(err)
	}
}

func (w *world) sweep(g *gateway, grace time.Duration) schemas.SweepReport {
	w.Helper()
	report, err := g.Sweep(w.Context(), retention.Options{Grace: grace})
	if err != nil || !report.Done {
		w.Fatalf("Sweep = %+v, %v", report, err)
	}
	return report
}

func (w *world) put(key, content string) {
	w.Helper()
	if _, err := w.store.Put(w.Context(), key, strings.NewReader(content), objstore.PutOptions{Size: int64(len(content))}); err != nil {
		w.Fatal(err)
	}
}

// blob stores an input and returns its digest.
func (w *world) blob(content string) (sum string) {
	w.Helper()
	s := sha256.Sum256([]byte(content))
	sum = hex.EncodeToString(s[:])
	w.put(schemas.InputKey(tenant, sum), content)
	return sum
}

func (w *world) has(key string) bool {
	w.Helper()
	_, err := w.store.Stat(w.Context(), key)
	if err != nil && !errors.Is(err, objstore.ErrNotFound) {
		w.Fatal(err)
	}
	return err == nil
}

// keys are those of all objects.
func (w *world) keys() (all []string) {
	w.Helper()
	for after := ""; ; after = all[len(all)-1] {
		page, err := w.store.List(w.Context(), "", after, 0)
		if err != nil {
			w.Fatal(err)
		}
		for _, o := range page {
			all = append(all, o.Key)
		}
		if len(page) < objstore.MaxList {
			return all
		}
	}
}

// job writes a record of a job that ended so long ago, with its objects, as a
// coordinator would have.
func (w *world) job(ended time.Duration, change func(*schemas.Record)) schemas.Record {
	w.Helper()
	id, err := schemas.NewJobID(w.now(), rand.Reader)
	if err != nil {
		w.Fatal(err)
	}
	code := 0
	rec := schemas.Record{
		Version: schemas.RecordVersion, ID: id, Tenant: tenant, State: schemas.StateSucceeded, Lane: schemas.LaneBatch, Pool: "p",
		CreatedUS: w.us(ended + time.Second), QueuedUS: w.us(ended + time.Second), EndedUS: w.us(ended),
		Attempts: []schemas.Attempt{{N: 1, Executor: "e1", ClaimedUS: w.us(ended), EndedUS: w.us(ended)}},
		Spec:     w.object("spec.json", "{}"),
		Outcome:  &schemas.Outcome{ExitCode: &code},
	}
	result, archive := w.object(schemas.ObjectResult, "result"), w.object(schemas.ObjectArchive, "files")
	rec.Result, rec.Archive = &result, &archive
	if change != nil {
		change(&rec)
	}
	w.put(rec.SpecKey(), "{}")
	for _, a := range rec.Attempts {
		w.put(schemas.AttemptKey(tenant, rec.ID, a.N, schemas.ObjectResult), "result")
		w.put(schemas.AttemptKey(tenant, rec.ID, a.N, schemas.ObjectArchive), "files")
	}
	w.record(rec)
	return rec
}

func (w *world) object(name, content string) schemas.Object {
	sum := sha256.Sum256([]byte(content))
	return schemas.Object{Name: name, Size: int64(len(content)), SHA256: schemas.Digest(sum[:])}
}

func (w *world) record(rec schemas.Record) {
	w.Helper()
	if _, err := w.queue.Jobs.Create(w.Context(), schemas.RecordKey(rec.Tenant, rec.ID), mustJSON(w, rec)); err != nil {
		w.Fatal(err)
	}
}

// submit queues a job that names an input, if there is one. Its specification is too large for the record.
func (w *world) submit(g *gateway, sum, key string) (schemas.Record, error) {
	spec := schemas.JobSpec{Image: "busybox", Args: []string{"true", strings.Repeat("x", schemas.MaxInline)}, IdempotencyKey: key}
	spec.Requires.Arch = "amd64"
	spec.QueueTimeoutMS = schemas.QueueRange.Max // the clock is put on by more than a day
	if sum != "" {
		spec.Files = map[string]schemas.File{"a": {SHA256: schemas.DigestPrefix + sum, Size: 1}}
	}
	rec, _, err := g.Submit(context.Background(), coordinator.Submission{
		Tenant: tenant, Spec: spec.WithDefaults(), Until: g.Inputs().Until(),
		Image: schemas.ImageRef{Reference: "docker.io/library/busybox", Digest: schemas.Digest(make([]byte, 32))},
	})
	return rec, err
}

// errDead is what everything gives that a dead process does.
var errDead = errors.New("the process is dead")

// mortal is a store whose process dies before its next change of the store,
// when so many have been made. Nothing that it does later has an effect.
type mortal struct {
	objstore.Store
	lives atomic.Int64
	died  chan struct{}
	once  sync.Once
}

func (w *world) mortal(changes int) *mortal {
	m := &mortal{Store: w.store, died: make(chan struct{})}
	m.lives.Store(int64(changes))
	return m
}

func (m *mortal) Delete(ctx context.Context, key string) error {
	if m.lives.Add(-1) < 0 {
		m.once.Do(func() { close(m.died) })
		return errDead
	}
	return m.Store.Delete(ctx, key)
}

func equalReports(a, b schemas.SweepReport) bool {
	x, y := new(bytes.Buffer), new(bytes.Buffer)
	for _, g := range a.Garbage {
		x.WriteString(g.Tenant + " " + g.Kind + " " + strings.Join(g.Examples, ","))
	}
	for _, g := range b.Garbage {
		y.WriteString(g.Tenant + " " + g.Kind + " " + strings.Join(g.Examples, ","))
	}
	return x.String() == y.String() && a.Total() == b.Total() && a.Listed == b.Listed && a.Young == b.Young
}
