package feeder

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// backlog is a lane of its own with tenants of these weights, who have as many jobs each.
func backlog(jobs int, weights ...int) (*lane, []*account) {
	l := newLane("p", schemas.LaneBatch)
	var accounts []*account
	for i, w := range weights {
		a := &account{weight: w}
		accounts = append(accounts, a)
		for range jobs {
			l.push(ticketOf(i), a)
		}
	}
	return l, accounts
}

func ticketOf(tenant int) *ticket {
	return &ticket{at: atLane, index: tenant, place: jobqueue.Place{Tenant: fmt.Sprint(tenant)}}
}

// TestSharesAreFair: whatever the weights, whenever one looks, no tenant with a
// backlog is more than its quantum ahead of or behind any other.
func TestSharesAreFair(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 18))
	for range 50 {
		weights := make([]int, 1+random.IntN(12))
		for i := range weights {
			weights[i] = 1 + random.IntN(9)
		}
		const jobs = 400
		l, _ := backlog(jobs, weights...)
		served := make([]int, len(weights))
		for !slices.Contains(served, jobs) { // then one has no backlog any more
			tenant := atoi(t, l.pop().place.Tenant)
			served[tenant]++
			for i, w := range weights {
				if diff := served[tenant]*w - served[i]*weights[tenant]; diff > w*weights[tenant] {
					t.Fatalf("weights %v: served %v", weights, served)
				}
			}
		}
	}
}

func atoi(t *testing.T, s string) (n int) {
	if _, err := fmt.Sscan(s, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestLaneKeepsEveryTicket: in any order of coming, leaving and being served
// each is served once, unless it left, and a tenant's own in their order.
func TestLaneKeepsEveryTicket(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	l := newLane("p", schemas.LaneBatch)
	accounts := map[int]*account{}
	waiting := map[int][]*ticket{}
	left := 0
	for range 20_000 {
		tenant := random.IntN(20)
		switch mine := waiting[tenant]; {
		case random.IntN(3) == 0:
			got := l.pop()
			if got == nil {
				if left != 0 {
					t.Fatalf("nothing is served, and %d wait", left)
				}
				continue
			}
			of := atoi(t, got.place.Tenant)
			if waiting[of][0] != got {
				t.Fatal("served out of order")
			}
			waiting[of] = waiting[of][1:]
			left--
		case random.IntN(2) == 0 && len(mine) > 0:
			at := random.IntN(len(mine))
			l.remove(mine[at])
			waiting[tenant] = slices.Delete(mine, at, at+1)
			left--
		default:
			if accounts[tenant] == nil {
				accounts[tenant] = &account{weight: 1 + tenant%3}
			}
			tk := ticketOf(tenant)
			l.push(tk, accounts[tenant])
			waiting[tenant] = append(mine, tk)
			left++
		}
	}
	for range left {
		if l.pop() == nil {
			t.Fatal("a ticket is lost")
		}
	}
	if l.pop() != nil || len(l.shares) != 0 || l.turns.Len() != 0 {
		t.Errorf("%d shares and %d turns of nothing", len(l.shares), l.turns.Len())
	}
}

// TestOneJobBesideTenThousand: it is offered as soon as a place in the stream is free.
func TestOneJobBesideTenThousand(t *testing.T) {
	t.Parallel()
	const depth = 4
	f := newFeed(depth)
	for i := range 10_000 {
		f.put("many", fmt.Sprint(i), schemas.StateQueued, time.Time{})
	}
	f.put("one", "0", schemas.StateQueued, time.Time{})
	if n := len(f.offered); n != depth {
		t.Fatalf("%d offered", n)
	}
	f.offered = nil
	f.put("many", "0", schemas.StateRunning, time.Time{})
	f.put("many", "1", schemas.StateRunning, time.Time{})
	if !slices.ContainsFunc(f.offered, func(o Offer) bool { return o.ticket.key == "one.0" }) {
		t.Errorf("of two places it got none: %v", f.offered)
	}
}

// TestRunningCap holds offers back, and only those of the tenant that is at its cap.
func TestRunningCap(t *testing.T) {
	t.Parallel()
	f := newFeed(10)
	most := 2
	f.limits = func(tenant string) Limits {
		if tenant == "a" {
			return Limits{Weight: 1, Running: most}
		}
		return Limits{Weight: 1}
	}
	for i := range 6 {
		f.put("a", fmt.Sprint(i), schemas.StateQueued, time.Time{})
	}
	f.put("b", "0", schemas.StateQueued, time.Time{})
	f.expect(t, "a.0", "a.1", "b.0")
	if n, held := f.HeldBack("a.2"); !held || n != 2 {
		t.Errorf("heldBack = %d, %v", n, held)
	}
	if _, held := f.HeldBack("a.1"); held {
		t.Error("what is offered is held back")
	}
	f.put("a", "0", schemas.StateRunning, time.Time{})
	f.expect(t) // offered or running, it counts
	f.put("a", "3", schemas.StateCancelled, time.Time{})
	f.put("a", "0", schemas.StateSucceeded, time.Time{})
	f.expect(t, "a.2")
	f.put("a", "1", schemas.StateCancelled, time.Time{})
	f.expect(t, "a.4")
	most = 0
	f.Relimit()
	f.expect(t, "a.5")
	for _, job := range []string{"2", "4", "5"} {
		f.put("a", job, schemas.StateRunning, time.Time{})
		f.put("a", job, schemas.StateFailed, time.Time{})
	}
	f.put("b", "0", schemas.StateCancelled, time.Time{})
	if len(f.accounts) != 0 || len(f.running) != 0 {
		t.Errorf("left over: %v, %v", f.accounts, f.running)
	}
}

// TestRunningCapPrefersInteractive: of what a tenant has held back, people's jobs go first.
func TestRunningCapPrefersInteractive(t *testing.T) {
	t.Parallel()
	f := newFeed(10)
	f.limits = func(string) Limits { return Limits{Running: 1} }
	for i := range 3 {
		f.put("a", fmt.Sprint(i), schemas.StateQueued, time.Time{})
	}
	f.rev++
	f.Note("a.now", &schemas.Record{ID: "now", Tenant: "a", State: schemas.StateQueued, Pool: "p", Lane: schemas.LaneInteractive}, f.rev)
	f.expect(t, "a.0")
	f.put("a", "0", schemas.StateCancelled, time.Time{})
	f.expect(t, "a.now")
}

// TestRetiredPoolGivesItsPlacesBack: what was offered there counts no more against
// the tenant's cap, so what it has elsewhere is offered.
func TestRetiredPoolGivesItsPlacesBack(t *testing.T) {
	t.Parallel()
	f := newFeed(2)
	f.limits = func(string) Limits { return Limits{Weight: 1, Running: 1} }
	f.put("a", "0", schemas.StateQueued, time.Time{})
	f.expect(t, "a.0")
	f.Known("q", schemas.Requires{})
	f.Ready("q", nil)
	f.Retarget(func(schemas.Requires) int { return 2 })
	f.rev++
	f.Note("a.1", &schemas.Record{ID: "1", Tenant: "a", State: schemas.StateQueued, Pool: "q", Lane: schemas.LaneBatch}, f.rev)
	f.expect(t)
	f.pools["p"].target = 0 // its executors are gone
	f.Retired("p")
	f.expect(t, "a.1")
}

// TestRefusedClaim: the job waits again, and is offered under another id.
func TestRefusedClaim(t *testing.T) {
	t.Parallel()
	f := newFeed(1)
	f.put("a", "0", schemas.StateQueued, time.Time{})
	id := f.ids[0]
	f.expect(t, "a.0")
	f.limits = func(string) Limits { return Limits{Running: 1} }
	f.Relimit()
	if !f.Begin("a") || f.Begin("a") {
		t.Error("one may begin, and not two")
	}
	f.Refused("a.0") // as if another gateway's job had been faster
	f.expect(t, "a.0")
	if f.ids[1] == id {
		t.Error("the server would take the new offer for the old one")
	}
	f.End("a")
	f.put("a", "0", schemas.StateRunning, time.Time{})
	if f.Begin("a") {
		t.Error("one more than may run begins")
	}
}

// BenchmarkLane is a job's way through a lane that a thousand tenants with
// 100,000 jobs share; per job it should not depend on either number.
func BenchmarkLane(b *testing.B) {
	for _, size := range []struct{ tenants, jobs int }{{1, 100_000}, {10, 10_000}, {1000, 100}, {10_000, 10}} {
		b.Run(fmt.Sprintf("tenants=%d", size.tenants), func(b *testing.B) {
			weights := make([]int, size.tenants)
			for i := range weights {
				weights[i] = 1 + i%3
			}
			l, accounts := backlog(size.jobs, weights...)
			b.ReportAllocs()
			for b.Loop() {
				t := l.pop()
				l.push(t, accounts[t.index]) // at the end of its tenant's
			}
		})
	}
}
