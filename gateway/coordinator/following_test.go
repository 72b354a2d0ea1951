package coordinator_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/gateway/resultcache"
	"github.com/program-explorer/pe/schemas"
)

// crowd is a job and others that follow it.
func (w *world) crowd(g *gateway, followers int) (leader schemas.Record, all []schemas.Record) {
	w.Helper()
	leader = w.submit(g, caching(schemas.CacheUse, "a"))
	for range followers {
		rec := w.submit(g, caching(schemas.CacheUse, "a"))
		if rec.Follows != leader.ID {
			w.Fatalf("it follows %q, not %s", rec.Follows, leader.ID)
		}
		all = append(all, rec)
	}
	return leader, all
}

// queuedAlone waits until a job follows nobody.
func (w *world) queuedAlone(g *gateway, rec schemas.Record) schemas.Record {
	w.Helper()
	w.eventually("job "+rec.ID+" follows nobody", func() bool {
		got, err := g.Get(w.Context(), rec.Tenant, rec.ID)
		rec = got
		return err == nil && got.Follows == ""
	})
	return rec
}

func TestFollowersShareTheResult(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	e := w.idle("e1", nil)
	leader, followers := w.crowd(g, 3)
	if why := g.Waiting(followers[0]); !strings.HasPrefix(why, "the same job is queued already as "+leader.ID) {
		t.Errorf("it waits because %q", why)
	}
	a := w.granted(e, leader)
	if why := g.Waiting(followers[0]); !strings.HasPrefix(why, "the same job runs already as "+leader.ID) {
		t.Errorf("it waits because %q", why)
	}
	if reply := w.mustClaim(e, followers[0], "n"); reply.Answer != schemas.AnswerBusy {
		t.Errorf("the claim of a follower was answered %s", reply.Answer)
	}
	late := w.submit(g, caching(schemas.CacheUse, "a"))
	followed := w.follow(g, late, coordinator.Offsets{})
	e.write(a, "hello\n", false)
	w.finish(e, a)
	for _, rec := range append(followers, late) {
		rec = w.wait(g, rec, schemas.StateSucceeded)
		if rec.Source == nil || rec.Source.Job != leader.ID || rec.Follows != "" || !rec.HasResult() || len(rec.Attempts) != 0 {
			t.Errorf("follower = %+v", rec)
		}
	}
	if out, _ := w.collect(followed, 0); out != "hello\n" {
		t.Errorf("its output is %q", out)
	}
}

// TestFollowersOfAFailure: each is run, for what failed may not fail again.
func TestFollowersOfAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	_, followers := w.crowd(g, 3)
	var runs atomic.Int32
	w.executor("e1", 1, runsOf(&runs, func(e *fakeExecutor, a attempt) (schemas.EventKind, schemas.Event) {
		return schemas.EventResult, e.result(a, 1)
	}))
	for _, rec := range followers {
		if rec = w.wait(g, rec, schemas.StateFailed); rec.Source != nil || len(rec.Attempts) != 1 {
			t.Errorf("follower = %+v", rec)
		}
	}
	if n := runs.Load(); n != 4 {
		t.Errorf("%d runs", n)
	}
}

// TestHeir: when the leader will give no result, one of the followers is run, and
// the others wait for that one.
func TestHeir(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*world, *gateway, *fakeExecutor, schemas.Record){
		"cancelled": func(w *world, g *gateway, _ *fakeExecutor, leader schemas.Record) { w.cancel(g, leader) },
		"cancelled while it runs": func(w *world, g *gateway, e *fakeExecutor, leader schemas.Record) {
			w.granted(e, leader)
			e.setSilent(true) // it never says that it has stopped
			w.cancel(g, leader)
		},
		"dead": func(w *world, g *gateway, e *fakeExecutor, leader schemas.Record) {
			a := w.granted(e, leader)
			kind, event := failure(a, schemas.FailImage)
			e.report(a.Held, kind, event)
		},
		"deleted": func(w *world, g *gateway, _ *fakeExecutor, leader schemas.Record) {
			q := w.server.Gateway(w, w.log)
			if err := q.Jobs.Delete(w.Context(), schemas.RecordKey(leader.Tenant, leader.ID), 0); err != nil {
				w.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "e1")
			g := w.gateway(func(c *coordinator.Config) {
				c.Reconcile, c.Lease, c.Beat = 100*time.Millisecond, time.Second, 200*time.Millisecond
			})
			e := w.idle("e1", nil)
			leader, followers := w.crowd(g, 3)
			end(w, g, e, leader)
			heir := w.queuedAlone(g, followers[0])
			e.setSilent(false)
			for _, rec := range followers[1:] {
				w.wait(g, rec, schemas.StateQueued)
				w.eventually("the others follow the heir", func() bool {
					got, err := g.Get(t.Context(), rec.Tenant, rec.ID)
					return err == nil && got.Follows == heir.ID
				})
			}
			if next := w.submit(g, caching(schemas.CacheUse, "a")); next.Follows != heir.ID {
				t.Errorf("a new one follows %q, not the heir", next.Follows)
			}
			w.finish(e, w.granted(e, heir))
			for _, rec := range followers[1:] {
				if rec = w.wait(g, rec, schemas.StateSucceeded); rec.Source == nil || rec.Source.Job != heir.ID {
					t.Errorf("follower = %+v", rec)
				}
			}
		})
	}
}

func (w *world) cancel(g *gateway, rec schemas.Record) {
	w.Helper()
	if _, err := g.Cancel(w.Context(), rec.Tenant, rec.ID); err != nil {
		w.Fatal(err)
	}
}

// TestFollowerEndsByItself: it can be cancelled, and its wait ends, whatever the leader does.
func TestFollowerEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	e := w.idle("e1", nil)
	leader, followers := w.crowd(g, 1)
	hasty := caching(schemas.CacheUse, "a")
	hasty.QueueTimeoutMS = 1
	impatient := w.submit(g, hasty)
	if impatient.Follows != leader.ID {
		t.Fatalf("it follows %q", impatient.Follows)
	}
	a := w.granted(e, leader)
	w.cancel(g, followers[0])
	w.wait(g, followers[0], schemas.StateCancelled)
	rec := w.wait(g, impatient, schemas.StateExpired)
	if rec.Failure == nil || !strings.Contains(rec.Failure.Message, "the same job, "+leader.ID) {
		t.Errorf("it expired because of %+v", rec.Failure)
	}
	w.finish(e, a)
	w.wait(g, leader, schemas.StateSucceeded)
	for _, rec := range []schemas.Record{followers[0], impatient} {
		if got, err := g.Get(t.Context(), rec.Tenant, rec.ID); err != nil || got.State == schemas.StateSucceeded {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

// TestNobodyFollowsWhatComesLater: a job does not wait for one in a lane behind
// its own, until that one runs.
func TestNobodyFollowsWhatComesLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	e := w.idle("e1", nil)
	batch := caching(schemas.CacheUse, "a")
	batch.Lane = schemas.LaneBatch
	slow := w.submit(g, batch)
	quick := w.submit(g, caching(schemas.CacheUse, "a"))
	if quick.Follows != "" {
		t.Errorf("an interactive job follows a queued one of the batch lane")
	}
	if later := w.submit(g, batch); later.Follows != quick.ID {
		t.Errorf("a batch job follows %q, not the interactive one", later.Follows)
	}
	w.cancel(g, quick)
	a := w.granted(e, slow)
	w.finish(e, a)
	w.wait(g, slow, schemas.StateSucceeded)
}

// TestGhost: a gateway died between saying that a job leads and making the job.
func TestGhost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	q := w.server.Gateway(t, w.log)
	g := w.gateway(quick)
	w.executor("e1", 1, nil)
	s := submission(caching(schemas.CacheUse, "a"))
	hash, err := s.Spec.CacheHash(s.Image, "")
	if err != nil {
		t.Fatal(err)
	}
	results := resultcache.New(q.Cache, 0, time.Now)
	key, err := results.Key(t.Context(), s.Tenant, hash)
	if err != nil {
		t.Fatal(err)
	}
	const ghost = "j01h8x3vz9k6tqc2n4m5p7r0sa"
	if err := results.Lead(t.Context(), s.Tenant, key, ghost, resultcache.Entry{}); err != nil {
		t.Fatal(err)
	}
	rec := w.submit(g, s.Spec)
	if rec.Follows != ghost {
		t.Fatalf("it follows %q", rec.Follows)
	}
	if rec = w.wait(g, rec, schemas.StateSucceeded); rec.Source != nil {
		t.Errorf("%+v", rec)
	}
}

// TestFollowersOutliveTheirGateway: whoever finds followers of a job that has
// ended settles them.
func TestFollowersOutliveTheirGateway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	e := w.idle("e1", nil)
	leader, followers := w.crowd(g, 2)
	a := w.granted(e, leader)
	g.stop()
	w.finish(e, a)
	next := w.gateway(quick)
	for _, rec := range followers {
		if rec = w.wait(next, rec, schemas.StateSucceeded); rec.Source == nil || rec.Source.Job != leader.ID {
			t.Errorf("follower = %+v", rec)
		}
	}
}

// TestLateEntry: a gateway died after it had accepted a result, and before it
// could say that there is one.
func TestLateEntry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	q := w.server.Gateway(t, w.log)
	g := w.gateway(nil)
	w.executor("e1", 1, nil)
	first := w.wait(g, w.submit(g, caching(schemas.CacheUse, "a")), schemas.StateSucceeded)
	w.kept(first)
	key := schemas.CacheEntryKey(first.Tenant, first.CacheKey)
	if _, err := q.Cache.Put(context.Background(), key, []byte(`{"job":"`+first.ID+`","written_us":1}`)); err != nil {
		t.Fatal(err)
	}
	if rec, ok := w.cached(g, submission(caching(schemas.CacheUse, "a"))); !ok || rec.Source.Job != first.ID {
		t.Errorf("%v %+v", ok, rec)
	}
	if _, err := q.Cache.Put(context.Background(), key, []byte(`not JSON`)); err != nil {
		t.Fatal(err)
	}
	second := w.wait(g, w.submit(g, caching(schemas.CacheUse, "a")), schemas.StateSucceeded)
	if second.Source != nil {
		t.Errorf("an entry that cannot be read gave %+v", second)
	}
	w.hit(g, caching(schemas.CacheUse, "a"))
}
