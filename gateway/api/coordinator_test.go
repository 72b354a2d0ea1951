package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/schemas"
)

// TestCoordinators: the fake on which most of this package's tests stand answers as
// the real coordinator does, in all that the API relies on.
func TestCoordinators(t *testing.T) {
	t.Parallel()
	store, err := dir.Open(dir.Config{Path: t.TempDir(), BaseURL: func() string { return "http://127.0.0.1:1/" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	for name, jobs := range map[string]Coordinator{"fake": newFakeJobs(store), "real": realJobs(t, store)} {
		for _, what := range slices.Sorted(maps.Keys(expectations)) {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				expectations[what](ctx, &expecting{T: t, Coordinator: jobs, tenant: what})
			})
		}
	}
}

// realJobs is a coordinator that runs, with a real queue.
func realJobs(t *testing.T, store *dir.Store) *coordinator.Coordinator {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	c, err := coordinator.New(coordinator.Config{Queue: queuetest.Start(t).Gateway(t, log), Store: store, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	for deadline := time.Now().Add(time.Minute); c.Ready() != nil; time.Sleep(5 * time.Millisecond) { // nothing tells of it
		if time.Now().After(deadline) {
			t.Fatalf("the coordinator is not ready: %v", c.Ready())
		}
	}
	return c
}

// expecting is a coordinator, and a tenant that no other case has.
type expecting struct {
	*testing.T
	Coordinator
	tenant string
}

// submission is of the tenant's job with a label.
func (e *expecting) submission(label string) coordinator.Submission {
	spec := schemas.JobSpec{Image: "gcc", Args: []string{"true"}, Labels: map[string]string{"name": label}}
	spec.Requires.Arch = "amd64"
	return coordinator.Submission{Tenant: e.tenant, Spec: spec.WithDefaults(), Image: schemas.ImageRef{Reference: "registry.test/gcc", Digest: testDigest}}
}

func (e *expecting) queued(ctx context.Context, label string) schemas.Record {
	e.Helper()
	rec, created, err := e.Submit(ctx, e.submission(label))
	if err != nil || !created || rec.State != schemas.StateQueued {
		e.Fatalf("Submit = %s, %v, %v", rec.State, created, err)
	}
	return rec
}

func (e *expecting) cancelled(ctx context.Context, label string) schemas.Record {
	e.Helper()
	rec, err := e.Cancel(ctx, e.tenant, e.queued(ctx, label).ID)
	if err != nil || rec.State != schemas.StateCancelled || rec.EndedUS == 0 {
		e.Fatalf("Cancel = %+v, %v", rec, err)
	}
	return rec
}

// fails wants an error that the API branches on.
func (e *expecting) fails(what string, want, got error) {
	e.Helper()
	if !errors.Is(got, want) {
		e.Errorf("%s: %v, want %v", what, got, want)
	}
}

// lists wants a page, the newest first, and returns the cursor of the next one.
func (e *expecting) lists(ctx context.Context, f coordinator.Filter, after string, limit int, want ...schemas.Record) string {
	e.Helper()
	page, next, err := e.List(ctx, e.tenant, f, after, limit)
	same := func(a, b schemas.Record) bool { return a.ID == b.ID && a.State == b.State }
	if err != nil || !slices.EqualFunc(page, want, same) {
		e.Errorf("List(%+v, %q) = %v, %v; want %v", f, after, ids(page), err, ids(want))
	}
	return next
}

func ids(recs []schemas.Record) (all []string) {
	for _, r := range recs {
		all = append(all, string(r.State)+" "+r.ID)
	}
	return all
}

func ended(r schemas.Record) bool { return r.State.Terminal() }

var expectations = map[string]func(context.Context, *expecting){
	"nobody-has-it": func(ctx context.Context, e *expecting) {
		for _, id := range []string{"j0000000000000000000000000", "nonsense", e.queued(ctx, "a").ID} {
			_, err := e.Get(ctx, "another", id)
			e.fails("Get", coordinator.ErrNotFound, err)
			_, err = e.Wait(ctx, "another", id, ended)
			e.fails("Wait", coordinator.ErrNotFound, err)
			_, err = e.Cancel(ctx, "another", id)
			e.fails("Cancel", coordinator.ErrNotFound, err)
			_, err = e.Retry(ctx, "another", id)
			e.fails("Retry", coordinator.ErrNotFound, err)
			_, err = e.Drop(ctx, "another", id)
			e.fails("Drop", coordinator.ErrNotFound, err)
			_, err = e.Follow(ctx, "another", id, coordinator.Offsets{})
			e.fails("Follow", coordinator.ErrNotFound, err)
		}
	},
	"got-as-submitted": func(ctx context.Context, e *expecting) {
		rec := e.queued(ctx, "a")
		got, err := e.Get(ctx, e.tenant, rec.ID)
		if err != nil || got.ID != rec.ID || got.Labels["name"] != "a" || got.Pool != rec.Pool || got.CreatedUS != rec.CreatedUS {
			e.Errorf("Get = %+v, %v; want %+v", got, err, rec)
		}
	},
	"wait-hears-the-end": func(ctx context.Context, e *expecting) {
		rec := e.queued(ctx, "a")
		heard := make(chan schemas.Record, 1)
		go func() {
			got, err := e.Wait(ctx, e.tenant, rec.ID, ended)
			if err != nil {
				e.Errorf("Wait: %v", err)
			}
			heard <- got
		}()
		if _, err := e.Cancel(ctx, e.tenant, rec.ID); err != nil {
			e.Error(err)
		}
		if got := <-heard; got.ID != rec.ID || got.State != schemas.StateCancelled {
			e.Errorf("heard %+v", got)
		}
	},
	"wait-is-over": func(ctx context.Context, e *expecting) {
		rec := e.queued(ctx, "a")
		ctx, cancel := context.WithCancel(ctx)
		got, err := e.Wait(ctx, e.tenant, rec.ID, func(schemas.Record) bool { cancel(); return false })
		if e.fails("Wait", context.Canceled, err); got.ID != rec.ID {
			e.Errorf("the last record is %+v", got)
		}
	},
	"cancelled-once": func(ctx context.Context, e *expecting) {
		rec := e.cancelled(ctx, "a")
		again, err := e.Cancel(ctx, e.tenant, rec.ID)
		if e.fails("Cancel", coordinator.ErrEnded, err); again.ID != rec.ID || again.EndedUS != rec.EndedUS {
			e.Errorf("the ended job is %+v, want %+v", again, rec)
		}
	},
	"only-the-dead-come-back": func(ctx context.Context, e *expecting) {
		for _, rec := range []schemas.Record{e.queued(ctx, "a"), e.cancelled(ctx, "b")} {
			_, err := e.Retry(ctx, e.tenant, rec.ID)
			e.fails("Retry", coordinator.ErrNotDead, err)
			_, err = e.Drop(ctx, e.tenant, rec.ID)
			e.fails("Drop", coordinator.ErrNotDead, err)
		}
	},
	"selected": func(ctx context.Context, e *expecting) {
		a, b, c := e.queued(ctx, "a"), e.cancelled(ctx, "b"), e.cancelled(ctx, "a")
		e.lists(ctx, coordinator.Filter{}, "", 10, c, b, a)
		e.lists(ctx, coordinator.Filter{Labels: map[string]string{"name": "a"}}, "", 10, c, a)
		e.lists(ctx, coordinator.Filter{States: []schemas.State{schemas.StateCancelled}}, "", 10, c, b)
		e.lists(ctx, coordinator.Filter{States: []schemas.State{schemas.StateQueued}, Labels: map[string]string{"name": "b"}}, "", 10)
		e.lists(ctx, coordinator.Filter{Labels: map[string]string{"other": ""}}, "", 10)
	},
	"paged": func(ctx context.Context, e *expecting) {
		a, b, c := e.queued(ctx, "a"), e.queued(ctx, "b"), e.queued(ctx, "c")
		next := e.lists(ctx, coordinator.Filter{}, "", 2, c, b)
		if next = e.lists(ctx, coordinator.Filter{}, next, 2, a); next != "" {
			e.Errorf("after the last page comes %q", next)
		}
		_, _, err := e.List(ctx, e.tenant, coordinator.Filter{}, "nonsense", 2)
		e.fails("List", coordinator.ErrCursor, err)
	},
	"repeated": func(ctx context.Context, e *expecting) {
		s := e.submission("a")
		s.Spec.IdempotencyKey, s.Request = "key", "sha256:1"
		if _, found, err := e.Earlier(ctx, s); found || err != nil {
			e.Errorf("Earlier = %v, %v, before there was any", found, err)
		}
		first, created, err := e.Submit(ctx, s)
		if err != nil || !created {
			e.Fatalf("Submit = %v, %v", created, err)
		}
		if again, created, err := e.Submit(ctx, s); err != nil || created || again.ID != first.ID {
			e.Errorf("the repeated Submit = %s, %v, %v; want %s", again.ID, created, err, first.ID)
		}
		if again, found, err := e.Earlier(ctx, s); err != nil || !found || again.ID != first.ID {
			e.Errorf("Earlier = %s, %v, %v; want %s", again.ID, found, err, first.ID)
		}
		s.Request = "sha256:2"
		_, _, err = e.Submit(ctx, s)
		e.fails("another request", coordinator.ErrKeyReused, err)
		_, found, err := e.Earlier(ctx, s)
		if e.fails("another request", coordinator.ErrKeyReused, err); found {
			e.Error("another request finds the job")
		}
	},
	"followed-to-the-end": func(ctx context.Context, e *expecting) {
		updates, err := e.Follow(ctx, e.tenant, e.cancelled(ctx, "a").ID, coordinator.Offsets{})
		if err != nil {
			e.Fatal(err)
		}
		var told []coordinator.Update
		for u := range updates {
			told = append(told, u)
		}
		if len(told) < 2 || told[0].Record == nil || told[0].Record.State != schemas.StateCancelled || told[len(told)-1].End == nil {
			e.Errorf("told %+v, want the record first and the end last", told)
		}
	},
	"events-begin-with-a-revision": func(ctx context.Context, e *expecting) {
		e.queued(ctx, "a")
		updates, err := e.Events(ctx, e.tenant, coordinator.EventQuery{Now: true})
		if err != nil {
			e.Fatal(err)
		}
		if first := <-updates; first.Revision == 0 || first.Job != nil || first.Text != nil {
			e.Errorf("the first update is %+v", first)
		}
		_, err = e.Events(ctx, e.tenant, coordinator.EventQuery{After: math.MaxUint32})
		e.fails("Events", coordinator.ErrRevision, err)
	},
}
