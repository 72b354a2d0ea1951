package coordinator_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// asked is a store that notes whether objects are there is asked, and may not say.
type asked struct {
	objstore.Store

	mu   sync.Mutex
	keys []string
	err  error
}

func (a *asked) Stat(ctx context.Context, key string) (objstore.Info, error) {
	a.mu.Lock()
	a.keys = append(a.keys, key[strings.LastIndexByte(key, '/')+1:])
	err := a.err
	a.mu.Unlock()
	if err != nil {
		return objstore.Info{}, err
	}
	return a.Store.Stat(ctx, key)
}

// since is what was asked since the last call.
func (a *asked) since() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() { a.keys = nil }()
	return strings.Join(a.keys, " ")
}

func (a *asked) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

// archived runs a job that leaves an archive, and whose result is an object unless inline.
func (w *world) archived(g *gateway, e *fakeExecutor, s schemas.JobSpec, inline bool) schemas.Record {
	w.Helper()
	rec := w.submit(g, s)
	if rec.Source != nil || rec.Follows != "" {
		w.Fatalf("job %s is not run: %+v", rec.ID, rec)
	}
	a := w.granted(e, rec)
	archive := w.putBytes(a.Held, schemas.ObjectArchive, []byte("archive of "+rec.ID))
	event := e.reportedWith(a, inline, func(r *schemas.Result) { r.Archive = &archive })
	event.Archive = &archive
	e.mustReport(a, event, schemas.VerdictAccepted)
	rec = w.wait(g, rec, schemas.StateSucceeded)
	w.kept(rec)
	return rec
}

// TestLostResultIsNotGivenAgain: an earlier result of which an object is lost, or
// is another one now, is none, and the job that is then run takes its place.
func TestLostResultIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	store := &asked{Store: w.store}
	g := w.gateway(func(c *coordinator.Config) { c.Store = store })
	e := w.idle("e1", nil)
	for _, test := range []struct {
		name, object string
		inline, gone bool
	}{
		{"result deleted", schemas.ObjectResult, false, true},
		{"result replaced", schemas.ObjectResult, false, false},
		{"archive deleted", schemas.ObjectArchive, false, true},
		{"archive of a small result replaced", schemas.ObjectArchive, true, false},
	} {
		s := caching(schemas.CacheUse, test.name)
		first := w.archived(g, e, s, test.inline)
		key := first.ResultKey(test.object)
		if test.gone {
			if err := w.store.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		} else {
			w.replace(key, []byte("other bytes"))
		}
		if rec, ok := w.cached(g, submission(s)); ok {
			t.Errorf("%s: it is given again: %+v", test.name, rec)
		}
		second := w.archived(g, e, s, test.inline)
		if rec := w.hit(g, s); rec.Source.Job != second.ID {
			t.Errorf("%s: hit = %+v", test.name, rec)
		}
	}
}

// TestHitAsksForWhatIsStored, and for nothing else: one request for each object that the record names.
func TestHitAsksForWhatIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	store := &asked{Store: w.store}
	g := w.gateway(func(c *coordinator.Config) { c.Store = store })
	e := w.idle("e1", nil)
	for _, inline := range []bool{true, false} {
		s := caching(schemas.CacheRefresh, "a")
		w.archived(g, e, s, inline)
		s.Cache = schemas.CacheUse
		want := schemas.ObjectArchive
		if !inline {
			want = schemas.ObjectResult + " " + want
		}
		store.since()
		if _, ok := w.cached(g, submission(s)); !ok || store.since() != want {
			t.Errorf("inline %t: asked ahead of its inputs: %t, not for %s alone", inline, ok, want)
		}
		if rec := w.submit(g, s); rec.Source == nil || store.since() != want {
			t.Errorf("inline %t: submitted: %+v, not for %s alone", inline, rec, want)
		}
	}
	small := caching(schemas.CacheUse, "small")
	rec := w.submit(g, small)
	a := w.granted(e, rec)
	e.mustReport(a, e.inlineResult(a), schemas.VerdictAccepted)
	w.kept(w.wait(g, rec, schemas.StateSucceeded))
	store.since()
	if w.hit(g, small); store.since() != "" {
		t.Error("the store was asked for a result in the record")
	}
}

// TestStoreDoesNotSay whether a result is there: the job is run, as when the cache
// cannot say, and the entry stays. Of a batch's jobs the first ask, and the others do not wait.
func TestStoreDoesNotSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	store := &asked{Store: w.store}
	metrics := prometheus.NewRegistry()
	var stopped atomic.Pointer[time.Time]
	g := w.gateway(func(c *coordinator.Config) {
		c.Store, c.Metrics = store, metrics
		c.Now = func() time.Time {
			if at := stopped.Load(); at != nil {
				return *at
			}
			return time.Now()
		}
	})
	e := w.idle("e1", nil)
	s := caching(schemas.CacheUse, "a")
	first := w.archived(g, e, s, true)
	now := time.Now()
	stopped.Store(&now)
	store.fail(objstore.ErrUnavailable)
	store.since()
	if rec, ok := w.cached(g, submission(s)); ok || store.since() == "" {
		t.Errorf("it has %+v, or the store was not asked", rec)
	}
	if rec := w.submit(g, s); rec.Source != nil || rec.Follows != "" {
		t.Errorf("submitted: %+v", rec)
	}
	answers, err := g.SubmitBatch(t.Context(), []coordinator.Submission{submission(s), submission(s)}, true)
	if err != nil || answers[1].Record.Source != nil || answers[1].Record.Follows != "" {
		t.Errorf("SubmitBatch = %+v, %v", answers, err)
	}
	if asked := store.since(); asked != "" {
		t.Errorf("a store that did not say was asked at once for %s", asked)
	}
	if n := count(t, metrics, "pe_cache_failures_total"); n != 4 {
		t.Errorf("%v failures counted, want 4", n)
	}
	store.fail(nil)
	later := now.Add(time.Minute)
	stopped.Store(&later)
	if rec, ok := w.cached(g, submission(s)); !ok || rec.Source.Job != first.ID {
		t.Errorf("once it says again: %+v", rec)
	}
}
