package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/gateway/resultcache"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// caching is a specification that asks the cache, with one argument.
func caching(mode, arg string) schemas.JobSpec {
	s := spec()
	s.Cache, s.Args = mode, []string{arg}
	return s
}

// cached asks the cache, as the API does before it wants a job's inputs.
func (w *world) cached(g *gateway, s coordinator.Submission) (schemas.Record, bool) {
	w.Helper()
	rec, ok, err := g.Cached(w.Context(), s)
	if err != nil {
		w.Fatal(err)
	}
	return rec, ok
}

// hit wants the cache to have a result, which it may be about to.
func (w *world) hit(g *gateway, s schemas.JobSpec) (rec schemas.Record) {
	w.Helper()
	w.eventually("a result in the cache", func() (ok bool) {
		rec, ok = w.cached(g, submission(s))
		return ok
	})
	return rec
}

// kept waits until the cache says that a job has a result.
func (w *world) kept(rec schemas.Record) {
	w.Helper()
	results := resultcache.New(w.server.Gateway(w, w.log).Cache, 0, time.Now)
	w.eventually("an entry with a result", func() bool {
		e, err := results.Look(w.Context(), rec.Tenant, rec.CacheKey)
		return err == nil && e.Job == rec.ID && e.Attempt > 0
	})
}

// runsOf counts the attempts of an executor, and lets each end as end says.
func runsOf(count *atomic.Int32, end func(*fakeExecutor, attempt) (schemas.EventKind, schemas.Event)) func(*fakeExecutor) {
	return func(e *fakeExecutor) {
		e.work = func(ctx context.Context, a attempt) (schemas.EventKind, schemas.Event) {
			count.Add(1)
			if end != nil {
				return end(e, a)
			}
			return e.succeed(ctx, a)
		}
	}
}

func TestCacheHit(t *testing.T) {
	t.Parallel()
	for name, inline := range map[string]bool{"result in the record": true, "result in an object": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testCacheHit(t, inline)
		})
	}
}

func testCacheHit(t *testing.T, inline bool) {
	w := newWorld(t, "e1")
	store := &counted{Store: w.store}
	w.store = store
	var told ends
	g := w.gateway(func(c *coordinator.Config) { c.OnEnded = told.note })
	w.executor("e1", 1, func(e *fakeExecutor) {
		e.prompt = inline
		e.work = func(ctx context.Context, a attempt) (schemas.EventKind, schemas.Event) {
			e.write(a, "hello\n", false)
			return e.succeed(ctx, a)
		}
	})
	if rec, ok := w.cached(g, submission(caching(schemas.CacheUse, "a"))); ok {
		t.Fatalf("an empty cache has %+v", rec)
	}
	first := w.wait(g, w.submit(g, caching(schemas.CacheUse, "a")), schemas.StateSucceeded)
	w.kept(first)
	before, puts := w.server.Records(t), store.puts.Load()
	other := caching(schemas.CacheUse, "a")
	other.Labels, other.Lane = map[string]string{"a": "b"}, schemas.LaneBatch
	rec := w.hit(g, other)
	if n, m := w.server.Records(t)-before, store.puts.Load()-puts; n != 1 || m != 0 {
		t.Errorf("a hit wrote %d records and %d objects", n, m)
	}
	if rec.ID == first.ID || rec.State != schemas.StateSucceeded || rec.Source == nil || rec.Source.Job != first.ID || rec.Source.Attempt != 1 ||
		rec.Source.EndedUS != first.EndedUS || (rec.ResultInline != nil) != inline || (rec.Result == nil) != inline || len(rec.Attempts) != 0 || rec.Labels["a"] != "b" || rec.EndedUS < first.EndedUS {
		t.Errorf("hit = %+v", rec)
	}
	if here, _ := told.of(rec.ID); here != 1 {
		t.Errorf("its end was told %d times", here)
	}
	if got, err := g.Get(t.Context(), rec.Tenant, rec.ID); err != nil || got.Source == nil {
		t.Errorf("Get = %+v, %v", got, err)
	}
	if out, states := w.collect(w.follow(g, rec, coordinator.Offsets{}), 0); out != "hello\n" || !slices.Equal(states, []schemas.State{schemas.StateSucceeded}) {
		t.Errorf("its output is %q, its states %v", out, states)
	}
	if info, err := g.CacheInfo(t.Context(), rec.Tenant); err != nil || info.Entries != 1 || info.Hits != 1 || info.ClearedUS != 0 {
		t.Errorf("CacheInfo = %+v, %v", info, err)
	}
}

// TestHitOfALargeSpecification: each job has its own, which stays when the other goes.
func TestHitOfALargeSpecification(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	store := &counted{Store: w.store}
	w.store = store
	g := w.gateway(nil)
	w.executor("e1", 1, func(e *fakeExecutor) { e.prompt = true })
	large := caching(schemas.CacheUse, strings.Repeat("a", 3*schemas.MaxInline))
	first := w.wait(g, w.submit(g, large), schemas.StateSucceeded)
	labelled := large
	labelled.Labels = map[string]string{"a": "b"}
	same, other := w.hit(g, large), w.hit(g, labelled)
	if err := g.Remove(t.Context(), first.Tenant, first.ID); err != nil {
		t.Fatal(err)
	}
	w.eventually("the first job's specification is gone", func() bool {
		_, err := store.Stat(t.Context(), first.SpecKey())
		return errors.Is(err, objstore.ErrNotFound)
	})
	for labels, rec := range []schemas.Record{same, other} {
		if _, err := store.Stat(t.Context(), rec.SpecKey()); err != nil {
			t.Error(err)
		}
		if got, err := g.SpecOf(t.Context(), rec.Tenant, rec.ID); err != nil || got.Args[0] != large.Args[0] || len(got.Labels) != labels {
			t.Errorf("specification %+v, %v", got, err)
		}
	}
}

// TestCacheInABatch: jobs of one batch share with earlier ones and with each other.
func TestCacheInABatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	var runs atomic.Int32
	w.executor("e1", 1, runsOf(&runs, nil))
	w.kept(w.wait(g, w.submit(g, caching(schemas.CacheUse, "earlier")), schemas.StateSucceeded))
	var jobs []coordinator.Submission
	for _, arg := range []string{"earlier", "new", "new", "new", "refreshed"} {
		jobs = append(jobs, submission(caching(schemas.CacheUse, arg)))
	}
	jobs[4].Spec.Cache = schemas.CacheRefresh
	answers, err := g.SubmitBatch(t.Context(), jobs, true)
	if err != nil {
		t.Fatal(err)
	}
	if rec := answers[0].Record; rec.Source == nil || rec.State != schemas.StateSucceeded {
		t.Errorf("earlier: %+v", rec)
	}
	for _, a := range answers {
		w.wait(g, a.Record, schemas.StateSucceeded)
	}
	if n := runs.Load(); n != 3 {
		t.Errorf("%d runs, want one each of earlier, new and refreshed", n)
	}
}

// TestCacheKeepsTenantsApart: one tenant's result is no other's.
func TestCacheKeepsTenantsApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	w.executor("e1", 1, nil)
	w.wait(g, w.submit(g, caching(schemas.CacheUse, "a")), schemas.StateSucceeded)
	w.hit(g, caching(schemas.CacheUse, "a"))
	theirs := submission(caching(schemas.CacheUse, "a"))
	theirs.Tenant = "other"
	if rec, ok := w.cached(g, theirs); ok {
		t.Errorf("another tenant has it: %+v", rec)
	}
}

// TestWhatIsNotKept: no result of these is ever given to another job.
func TestWhatIsNotKept(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		mode     string
		failures bool
		change   func(*schemas.Outcome)
		owner    string
		kept     bool
	}{
		{"use", schemas.CacheUse, false, nil, "", true},
		{"refresh", schemas.CacheRefresh, false, nil, "", true},
		{"bypass", schemas.CacheBypass, false, nil, "", false},
		{"exit code", schemas.CacheUse, false, exited(3), "", false},
		{"exit code that may", schemas.CacheUse, true, exited(3), "", true},
		{"signal", schemas.CacheUse, true, func(o *schemas.Outcome) { *o = schemas.Outcome{Signal: "SIGSEGV"} }, "", false},
		{"limit", schemas.CacheUse, true, func(o *schemas.Outcome) {
			*o = schemas.Outcome{Signal: "SIGKILL", Limit: schemas.LimitWall, LimitsHit: []string{schemas.LimitWall}}
		}, "", false},
		{"survived limit", schemas.CacheUse, true, func(o *schemas.Outcome) { o.LimitsHit = []string{schemas.LimitPids} }, "", false},
		{"somebody else's executor", schemas.CacheUse, true, nil, "lena", false},
		{"its own executor", schemas.CacheUse, true, nil, schemas.SingleTenant, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "e1")
			g := w.gateway(nil)
			w.executor("e1", 1, func(e *fakeExecutor) {
				e.facts.Owner = test.owner
				e.work = func(_ context.Context, a attempt) (schemas.EventKind, schemas.Event) {
					outcome := schemas.Outcome{ExitCode: new(int)}
					if test.change != nil {
						test.change(&outcome)
					}
					return schemas.EventResult, e.resultOf(a, outcome)
				}
			})
			s := caching(test.mode, "a")
			s.CacheFailures = test.failures
			w.wait(g, w.submit(g, s), schemas.StateSucceeded, schemas.StateFailed)
			s.Cache = schemas.CacheUse
			if test.kept {
				w.hit(g, s)
				return
			}
			if rec, ok := w.cached(g, submission(s)); ok {
				t.Errorf("kept: %+v", rec)
			}
		})
	}
}

func exited(code int) func(*schemas.Outcome) {
	return func(o *schemas.Outcome) { o.ExitCode = &code }
}

func TestCacheFailuresAreAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	w.executor("e1", 1, runsOf(new(atomic.Int32), func(e *fakeExecutor, a attempt) (schemas.EventKind, schemas.Event) {
		return schemas.EventResult, e.result(a, 3)
	}))
	s := caching(schemas.CacheUse, "a")
	s.CacheFailures = true
	w.wait(g, w.submit(g, s), schemas.StateFailed)
	if rec := w.hit(g, s); rec.State != schemas.StateFailed || *rec.Outcome.ExitCode != 3 {
		t.Errorf("hit = %+v", rec)
	}
	s.CacheFailures = false
	if rec, ok := w.cached(g, submission(s)); ok {
		t.Errorf("a job that did not ask for failures has %+v", rec)
	}
}

// TestClearCache: nothing of before is given to a job that comes later, not even
// what was still running.
func TestClearCache(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	begun, goOn := make(chan struct{}, 10), make(chan struct{})
	w.executor("e1", 2, func(e *fakeExecutor) {
		e.work = func(ctx context.Context, a attempt) (schemas.EventKind, schemas.Event) {
			if a.grant.Spec.Args[0] == "slow" {
				begun <- struct{}{}
				<-goOn
			}
			return e.succeed(ctx, a)
		}
	})
	w.wait(g, w.submit(g, caching(schemas.CacheUse, "a")), schemas.StateSucceeded)
	w.hit(g, caching(schemas.CacheUse, "a"))
	slow := w.submit(g, caching(schemas.CacheUse, "slow"))
	<-begun
	for range 2 { // the second finds nothing
		if err := g.ClearCache(t.Context(), schemas.SingleTenant); err != nil {
			t.Fatal(err)
		}
	}
	if rec, ok := w.cached(g, submission(caching(schemas.CacheUse, "a"))); ok {
		t.Errorf("after clearing: %+v", rec)
	}
	close(goOn)
	w.wait(g, slow, schemas.StateSucceeded)
	if rec, ok := w.cached(g, submission(caching(schemas.CacheUse, "slow"))); ok {
		t.Errorf("what ran while it was cleared was kept: %+v", rec)
	}
	info, err := g.CacheInfo(t.Context(), schemas.SingleTenant)
	if err != nil || info.Entries != 0 || info.Hits != 1 || time.Since(time.UnixMicro(info.ClearedUS)) > time.Minute {
		t.Errorf("CacheInfo = %+v, %v", info, err)
	}
	w.wait(g, w.submit(g, caching(schemas.CacheUse, "a")), schemas.StateSucceeded)
	w.hit(g, caching(schemas.CacheUse, "a"))
}

// TestOriginIsGone: an entry is only a hint.
func TestOriginIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	q := w.server.Gateway(t, w.log)
	g := w.gateway(nil)
	w.executor("e1", 1, nil)
	first := w.wait(g, w.submit(g, caching(schemas.CacheUse, "a")), schemas.StateSucceeded)
	w.hit(g, caching(schemas.CacheUse, "a"))
	if err := q.Jobs.Delete(t.Context(), schemas.RecordKey(first.Tenant, first.ID), 0); err != nil {
		t.Fatal(err)
	}
	if rec, ok := w.cached(g, submission(caching(schemas.CacheUse, "a"))); ok {
		t.Errorf("the result of a job that is gone: %+v", rec)
	}
	second := w.wait(g, w.submit(g, caching(schemas.CacheUse, "a")), schemas.StateSucceeded)
	if second.Source != nil {
		t.Errorf("it was not run: %+v", second)
	}
	if rec := w.hit(g, caching(schemas.CacheUse, "a")); rec.Source.Job != second.ID {
		t.Errorf("hit = %+v", rec)
	}
}

// TestCacheIsAway: a job that could have had an earlier result is run when the cache
// cannot say. One whose result is to take an earlier one's place is refused.
func TestCacheIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	q := w.server.Gateway(t, w.log)
	metrics := prometheus.NewRegistry()
	g := w.gateway(func(c *coordinator.Config) { c.Metrics = metrics })
	w.executor("e1", 1, nil)
	if _, err := q.Cache.Put(t.Context(), schemas.CacheEpochKey(schemas.SingleTenant), []byte("no epoch")); err != nil {
		t.Fatal(err)
	}
	s := caching(schemas.CacheUse, "a")
	if rec, ok := w.cached(g, submission(s)); ok {
		t.Errorf("it has %+v", rec)
	}
	if rec := w.wait(g, w.submit(g, s), schemas.StateSucceeded); rec.Source != nil || rec.CacheKey != "" {
		t.Errorf("%+v", rec)
	}
	answers, err := g.SubmitBatch(t.Context(), []coordinator.Submission{submission(s), submission(s)}, true)
	if err != nil || answers[1].Record.Follows != "" {
		t.Errorf("SubmitBatch = %+v, %v", answers, err)
	}
	if n := count(t, metrics, "pe_cache_failures_total"); n != 4 {
		t.Errorf("%v failures counted, want 4", n)
	}
	if _, _, err := g.Submit(t.Context(), submission(caching(schemas.CacheRefresh, "a"))); err == nil {
		t.Error("the earlier result would be given on")
	}
}

// TestCacheIsFull: what would be one entry too many is run as if there were no cache;
// what has an entry is shared as ever.
func TestCacheIsFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	metrics := prometheus.NewRegistry()
	g := w.gateway(func(c *coordinator.Config) { c.Metrics, c.MaxCached = metrics, 1 })
	w.executor("e1", 2, nil)
	first := w.wait(g, w.submit(g, caching(schemas.CacheUse, "a")), schemas.StateSucceeded)
	w.kept(first)
	for _, mode := range []string{schemas.CacheUse, schemas.CacheRefresh} {
		s := caching(mode, "b")
		if rec := w.wait(g, w.submit(g, s), schemas.StateSucceeded); rec.CacheKey != "" || rec.Source != nil {
			t.Errorf("%s: %+v", mode, rec)
		}
	}
	if rec := w.hit(g, caching(schemas.CacheUse, "a")); rec.Source == nil || rec.Source.Job != first.ID {
		t.Errorf("hit = %+v", rec)
	}
	again := w.wait(g, w.submit(g, caching(schemas.CacheRefresh, "a")), schemas.StateSucceeded)
	w.kept(again)
	if info, err := g.CacheInfo(t.Context(), schemas.SingleTenant); err != nil || info.Entries != 1 {
		t.Errorf("%+v, %v", info, err)
	}
	if n := count(t, metrics, "pe_cache_full_total"); n != 2 {
		t.Errorf("%v counted, want 2", n)
	}
}

// count is the value of a counter without labels.
func count(t *testing.T, from prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// TestRefresh: the job is run, and its result takes the place of the earlier one.
func TestRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	w.executor("e1", 1, nil)
	w.wait(g, w.submit(g, caching(schemas.CacheUse, "a")), schemas.StateSucceeded)
	w.hit(g, caching(schemas.CacheUse, "a"))
	second := w.wait(g, w.submit(g, caching(schemas.CacheRefresh, "a")), schemas.StateSucceeded)
	w.eventually("the newer result", func() bool {
		rec, ok := w.cached(g, submission(caching(schemas.CacheUse, "a")))
		return ok && rec.Source.Job == second.ID
	})
}

// TestCachedSubmissionRepeated: an idempotency key gives the first job, hit or not.
func TestCachedSubmissionRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	w.executor("e1", 1, nil)
	w.wait(g, w.submit(g, caching(schemas.CacheUse, "a")), schemas.StateSucceeded)
	s := caching(schemas.CacheUse, "a")
	s.IdempotencyKey = "once"
	first := w.hit(g, s)
	if again := w.hit(g, s); again.ID != first.ID {
		t.Errorf("the same submission made jobs %s and %s", first.ID, again.ID)
	}
	other := submission(caching(schemas.CacheUse, "b"))
	other.Spec.IdempotencyKey = "once"
	if _, _, err := g.Cached(t.Context(), other); err == nil {
		t.Error("another submission with the same key was accepted")
	}
}

// TestManyAtOnce: identical jobs that come at once at two gateways are run about
// once, and all have a result.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1", "e2")
	gateways := []*gateway{w.gateway(quick), w.gateway(quick)}
	var runs atomic.Int32
	var asked atomic.Pointer[chan struct{}]
	slow := func(e *fakeExecutor, a attempt) (schemas.EventKind, schemas.Event) {
		<-*asked.Load() // a program that is not done before all have asked for it
		return schemas.EventResult, e.result(a, 0)
	}
	w.executor("e1", 4, runsOf(&runs, slow))
	w.executor("e2", 4, runsOf(&runs, slow))
	const rounds, each = 5, 8
	for round := range rounds {
		recs := make([]schemas.Record, 2*each)
		var group sync.WaitGroup
		all := make(chan struct{})
		asked.Store(&all)
		for i := range recs {
			group.Go(func() { recs[i] = w.submit(gateways[i%2], caching(schemas.CacheUse, fmt.Sprint(round))) })
		}
		group.Wait()
		close(all)
		for i, rec := range recs {
			if rec = w.wait(gateways[(i+1)%2], rec, schemas.StateSucceeded); !rec.HasResult() {
				t.Errorf("job %s has no result", rec.ID)
			}
		}
	}
	if n := runs.Load(); n > 2*rounds {
		t.Errorf("%d runs of %d different jobs", n, rounds)
	}
}
