package coordinator

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/feeder"
	"github.com/program-explorer/pe/schemas"
)

func TestRecordsLeaveAsFastAsTheyCome(t *testing.T) {
	t.Parallel()
	const page = schemas.MaxHistoryJobs
	for ready, want := range map[int]int{0: 1, 1: 1, page: 1, 2*page - 1: 1, 2 * page: 2, 5*page + 1: 5, freesAtOnce * page: freesAtOnce, 100 * page: freesAtOnce} {
		if got := freesFor(ready); got != want {
			t.Errorf("freesFor(%d) = %d, want %d", ready, got, want)
		}
	}
}

// TestSettledJobsArePicked in the order of their ends, and are counted up to a bound;
// those that were not picked keep their place.
func TestSettledJobsArePicked(t *testing.T) {
	t.Parallel()
	const jobs, most, enough = 50, 10, 30
	now := time.Unix(1, 0)
	s := newState(feeder.New(feeder.Config{}), func() time.Time { return now }, func(_, _ schemas.State) {})
	s.sortAll()
	for i := range jobs {
		id, err := schemas.NewJobID(now, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s.learn(schemas.Record{Tenant: "a", ID: id, State: schemas.StateSucceeded, EndedUS: int64(i + 1)}, uint64(i+1))
	}
	for _, e := range s.jobs {
		e.told = true
	}
	if picked, ready := s.pickSettled("a", most, enough); len(picked) != 0 || ready != 0 {
		t.Errorf("%d of %d right after their ends", len(picked), ready)
	}
	now = now.Add(keptAfterEnd)
	for range 2 {
		picked, ready := s.pickSettled("a", most, enough)
		if len(picked) != most || ready != enough {
			t.Fatalf("%d of %d, want %d of %d", len(picked), ready, most, enough)
		}
		for i, p := range picked {
			if p.rev != uint64(i+1) {
				t.Fatalf("picked %v", picked)
			}
		}
	}
	if _, ready := s.pickSettled("a", most, 2*jobs); ready != jobs {
		t.Errorf("%d ready, want %d", ready, jobs)
	}
}
