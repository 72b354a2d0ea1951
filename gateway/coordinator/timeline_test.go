package coordinator

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/gateway/feeder"
	"github.com/program-explorer/pe/gateway/history"
	"github.com/program-explorer/pe/schemas"
)

func timelineOf(t *testing.T, jobs int) *state {
	t.Helper()
	s := newState(feeder.New(feeder.Config{}), func() time.Time { return time.Unix(1, 0) }, func(_, _ schemas.State) {})
	for i := range jobs {
		s.learn(numbered(i), uint64(i+1))
	}
	s.sortAll()
	s.seen.Store(uint64(jobs))
	return s
}

func numbered(i int) schemas.Record {
	return schemas.Record{ID: fmt.Sprintf("j%025d", i), Tenant: "local", State: schemas.StateSucceeded, CreatedUS: int64(i), EndedUS: 1}
}

func (s *state) forgetNumbered(i int, rev uint64) {
	s.forget(schemas.RecordKey("local", numbered(i).ID), rev)
}

// TestForgetAll: what goes through all jobs happens once for each half of them,
// and not for each job.
func TestForgetAll(t *testing.T) {
	t.Parallel()
	const jobs = 100_000
	s := timelineOf(t, jobs)
	line := &s.tenants["local"].timeline
	passes := 0
	for i := range jobs {
		before := len(line.ordered)
		s.forgetNumbered(i, uint64(jobs+i+1))
		if len(line.ordered) != before {
			passes++
		}
		if len(line.ordered) > 2*len(s.jobs) || passes > 17 {
			t.Fatalf("%d entries for %d jobs after %d passes", len(line.ordered), len(s.jobs), passes)
		}
	}
	if len(line.ordered) != 0 || line.gone != 0 {
		t.Errorf("%d entries are left, %d of them gone", len(line.ordered), line.gone)
	}
}

// TestForgottenIsNowhere: an entry that is gone is seen by nobody, and comes back with its job.
func TestForgottenIsNowhere(t *testing.T) {
	t.Parallel()
	s := timelineOf(t, 10)
	past, err := history.New(nil, nil, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	c := &Coordinator{state: s, history: past}
	look := func() [6]int {
		listed := s.older("local", Filter{}, newest, 100).jobs
		dead := c.Needing(time.UnixMicro(100))
		due := c.Due(Cutoffs{Records: time.Unix(1, 0)}, 100)
		return [...]int{len(listed), c.Counts("local")[schemas.StateSucceeded], len(s.changed("local", Filter{}, 0, 100, 100)), len(due), len(dead), s.hits("local")}
	}
	if got, want := look(), [...]int{10, 10, 10, 10, 0, 0}; got != want {
		t.Fatalf("found %v, want %v", got, want)
	}
	dead, hit := numbered(8), numbered(9)
	dead.State, hit.Source = schemas.StateDead, &schemas.Source{Job: numbered(1).ID, Attempt: 1}
	s.learn(dead, 11)
	s.learn(hit, 12)
	for i, n := range []int{3, 4, 8, 9} {
		s.forgetNumbered(n, uint64(13+i))
	}
	if got, want := look(), [...]int{6, 6, 6, 6, 0, 0}; got != want || s.tenants["local"].gone != 4 {
		t.Errorf("found %v, want %v", got, want)
	}
	s.learn(numbered(3), 20)
	if got, want := look(), [...]int{7, 7, 7, 7, 0, 0}; got != want || s.tenants["local"].gone != 3 {
		t.Errorf("found %v, want %v", got, want)
	}
}

// TestLateReadIsNoJob: who read a record before it was deleted, and says so after, makes no job of it.
func TestLateReadIsNoJob(t *testing.T) {
	t.Parallel()
	s := timelineOf(t, 2)
	s.forgetNumbered(0, 3)
	s.learn(numbered(0), 1)
	if len(s.jobs) != 1 || len(s.tenants["local"].ordered)-s.tenants["local"].gone != 1 {
		t.Errorf("%d jobs", len(s.jobs))
	}
	if s.learn(numbered(0), 4); len(s.jobs) != 2 { // made again
		t.Errorf("%d jobs", len(s.jobs))
	}
}
