package feeder

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// feed is a feeder with a clock of its own whose offers are only noted.
type feed struct {
	*Feeder
	clock   time.Time
	limits  func(tenant string) Limits
	offered []Offer
	ids     []string
	rev     uint64
}

func newFeed(depth int) *feed {
	f := &feed{clock: time.Unix(1000, 0), limits: func(string) Limits { return Limits{} }}
	f.Feeder = New(Config{
		Now:     func() time.Time { return f.clock },
		Offer:   func(o Offer) { f.offered, f.ids = append(f.offered, o), append(f.ids, o.ID) },
		Prepare: func(string, schemas.Requires) {},
		Limits:  func(tenant string) Limits { return f.limits(tenant) },
	})
	f.Known("p", schemas.Requires{})
	f.Ready("p", nil)
	f.Retarget(func(schemas.Requires) int { return depth })
	return f
}

func (f *feed) put(tenant, job string, state schemas.State, due time.Time) {
	f.rev++
	rec := &schemas.Record{ID: job, Tenant: tenant, State: state, Pool: "p", Lane: schemas.LaneBatch}
	if !due.IsZero() {
		rec.NotBeforeUS = due.UnixMicro()
	}
	f.Note(schemas.RecordKey(tenant, job), rec, f.rev)
}

func (f *feed) expect(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, o := range f.offered {
		got = append(got, o.ticket.key)
	}
	f.offered = nil
	if !slices.Equal(got, want) {
		t.Errorf("offered %v, want %v", got, want)
	}
}

func TestFeederIsShallowAndFair(t *testing.T) {
	t.Parallel()
	f := newFeed(2)
	for i := range 4 {
		f.put("a", fmt.Sprint(i), schemas.StateQueued, time.Time{})
	}
	f.put("b", "0", schemas.StateQueued, time.Time{})
	f.put("c", "0", schemas.StateQueued, time.Time{})
	f.expect(t, "a.0", "a.1")
	for _, job := range []string{"0", "1", "2"} {
		f.put("a", job, schemas.StateRunning, time.Time{})
	}
	f.expect(t, "a.2", "b.0", "c.0")
	f.put("b", "0", schemas.StateCancelled, time.Time{})
	f.expect(t, "a.3")
}

func TestFeederWaits(t *testing.T) {
	t.Parallel()
	f := newFeed(2)
	f.put("a", "later", schemas.StateQueued, f.clock.Add(time.Minute))
	f.put("a", "soon", schemas.StateQueued, f.clock.Add(time.Second))
	if wait := f.Promote(); wait != time.Second {
		t.Errorf("next in %s", wait)
	}
	f.expect(t)
	f.clock = f.clock.Add(time.Second)
	f.Promote()
	f.expect(t, "a.soon")
	f.put("a", "later", schemas.StateCancelled, time.Time{})
	f.clock = f.clock.Add(time.Hour)
	f.Promote()
	f.expect(t)
}

func TestFeederTriesAgain(t *testing.T) {
	t.Parallel()
	f := newFeed(1)
	f.put("a", "0", schemas.StateQueued, time.Time{})
	first := f.offered[0]
	f.expect(t, "a.0")
	f.Settle(first, errors.New("no"))
	f.clock = f.clock.Add(feedPause)
	f.Promote()
	f.expect(t, "a.0")
	f.put("a", "0", schemas.StateRunning, time.Time{})
	f.Settle(first, nil)
	if n := len(f.tickets); n != 0 {
		t.Errorf("%d tickets of a running job", n)
	}
}

func TestFeederCompares(t *testing.T) {
	t.Parallel()
	f := newFeed(1)
	f.put("a", "0", schemas.StateQueued, time.Time{})
	f.put("a", "1", schemas.StateQueued, time.Time{})
	f.expect(t, "a.0")
	place := func(job string) jobqueue.Place {
		return jobqueue.Place{Pool: "p", Lane: schemas.LaneBatch, Tenant: "a", Job: job}
	}
	if repaired, _ := f.Compare("p", schemas.LaneBatch, nil); repaired != 0 {
		t.Error("an offer under way was repaired")
	}
	f.clock = f.clock.Add(unsettled)
	repaired, stray := f.Compare("p", schemas.LaneBatch, []jobqueue.Place{place("1"), place("9")})
	if repaired != 1 || !slices.Equal(stray, []jobqueue.Place{place("9")}) {
		t.Errorf("repaired %d, stray %v", repaired, stray)
	}
	f.expect(t, "a.0") // a.1 is another gateway's offer
	if f.ids[0] == f.ids[1] || !strings.HasPrefix(f.ids[1], f.ids[0]) {
		t.Errorf("ids %v: the second must be another", f.ids)
	}
}

func TestFeederKnowsOldOffers(t *testing.T) {
	t.Parallel()
	f := newFeed(1)
	f.put("a", "0", schemas.StateQueued, time.Time{})
	f.expect(t, "a.0")
	if old := f.OfferedFor("p", schemas.LaneBatch, time.Minute); len(old) != 0 {
		t.Errorf("%v is new", old)
	}
	f.clock = f.clock.Add(2 * time.Minute)
	if old := f.OfferedFor("p", schemas.LaneBatch, time.Minute); len(old) != 1 || old[0].Job != "0" {
		t.Errorf("old offers are %v", old)
	}
	f.put("a", "0", schemas.StateRunning, time.Time{})
	if old := f.OfferedFor("p", schemas.LaneBatch, time.Minute); len(old) != 0 {
		t.Errorf("%v is claimed", old)
	}
}

func TestFeederWithoutExecutors(t *testing.T) {
	t.Parallel()
	f := newFeed(0)
	f.put("a", "0", schemas.StateQueued, time.Time{})
	f.expect(t)
	f.Retarget(func(schemas.Requires) int { return 2 })
	f.expect(t, "a.0")
	f.clock = f.clock.Add(2 * time.Hour)
	if idle := f.Idle(time.Hour); !slices.Equal(idle, []string{"p"}) {
		t.Errorf("idle = %v", idle)
	}
	f.Retired("p")
	f.expect(t)
	f.Ready("p", nil)
	f.expect(t, "a.0")
}

// TestFeederForgetsCancelled: what was cancelled takes no memory while nobody serves the pool.
func TestFeederForgetsCancelled(t *testing.T) {
	t.Parallel()
	f := newFeed(0)
	f.put("a", "keep", schemas.StateQueued, time.Time{})
	f.put("b", "keep", schemas.StateQueued, time.Time{})
	for i := range 1000 {
		for _, tenant := range []string{"a", "c"} {
			f.put(tenant, fmt.Sprint(i), schemas.StateQueued, time.Time{})
			f.put(tenant, fmt.Sprint(i), schemas.StateCancelled, time.Time{})
		}
	}
	l := f.pools["p"].lanes[schemas.LaneBatch]
	if q := l.shares["a"].waiting; q.first != q.last || len(l.shares) != 2 || l.turns.Len() != 2 || len(f.accounts) != 2 {
		t.Errorf("of a wait %v to %v; %d tenants, %d turns, %d accounts", q.first, q.last, len(l.shares), l.turns.Len(), len(f.accounts))
	}
	f.Retarget(func(schemas.Requires) int { return 9 })
	f.expect(t, "a.keep", "b.keep")
}

// TestFeederKeepsPoolsOfDelayed: a job may wait for its next attempt while its pool is retired.
func TestFeederKeepsPoolsOfDelayed(t *testing.T) {
	t.Parallel()
	f := newFeed(1)
	f.put("a", "0", schemas.StateQueued, f.clock.Add(time.Minute))
	f.Retired("p")
	f.clock = f.clock.Add(time.Minute)
	f.Promote()
	f.Made("p")
	f.Ready("p", nil)
	f.expect(t, "a.0")
	f.put("a", "0", schemas.StateRunning, time.Time{})
	f.Retired("p")
	if _, n := f.Fresh(nil); n != 0 {
		t.Errorf("%d pools are left", n)
	}
}

// TestFeederForgetsPools: requirements that nobody ever served take no memory for long.
func TestFeederForgetsPools(t *testing.T) {
	t.Parallel()
	f := newFeed(0)
	rec := &schemas.Record{ID: "0", Tenant: "a", State: schemas.StateQueued, Pool: "q", Lane: schemas.LaneBatch}
	f.Note("a.0", rec, 1)
	f.clock = f.clock.Add(time.Hour)
	f.Idle(time.Minute)
	if f.pools["q"] == nil {
		t.Fatal("the pool of a queued job is gone")
	}
	ended := *rec
	ended.State = schemas.StateCancelled
	f.Note("a.0", &ended, 2)
	f.Idle(time.Minute)
	if f.pools["q"] != nil {
		t.Error("a pool that was never made stays without a job")
	}
}

func TestFeederOverdue(t *testing.T) {
	t.Parallel()
	f := newFeed(0)
	for i, ms := range []int64{0, 3000, 1000, 2000} {
		f.rev++
		rec := &schemas.Record{
			ID: fmt.Sprint(i), Tenant: "a", State: schemas.StateQueued, Pool: "p", Lane: schemas.LaneBatch,
			QueuedUS: f.clock.UnixMicro(), QueueTimeoutMS: ms,
		}
		f.Note(schemas.RecordKey("a", rec.ID), rec, f.rev)
	}
	expect := func(want ...string) {
		t.Helper()
		var got []string
		for _, p := range f.Overdue(10) {
			got = append(got, p.Job)
		}
		if !slices.Equal(got, want) {
			t.Errorf("overdue %v, want %v", got, want)
		}
	}
	expect()
	f.put("a", "3", schemas.StateRunning, time.Time{}) // claimed in time
	f.clock = f.clock.Add(2 * time.Second)
	expect("2")
	expect()
	f.clock = f.clock.Add(overdueAgain)
	expect("1", "2") // still queued
	f.put("a", "1", schemas.StateExpired, time.Time{})
	f.put("a", "2", schemas.StateExpired, time.Time{})
	f.clock = f.clock.Add(time.Hour)
	expect()
	if n := len(f.expiring); n != 0 {
		t.Errorf("%d wait to expire", n)
	}
}
