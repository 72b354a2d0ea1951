package coordinator

import (
	"fmt"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/feeder"
	"github.com/program-explorer/pe/schemas"
)

// TestPageIsBounded: a filter that selects little does not look at all jobs at once.
func TestPageIsBounded(t *testing.T) {
	t.Parallel()
	s := newState(feeder.New(feeder.Config{}), func() time.Time { return time.Unix(1, 0) }, func(_, _ schemas.State) {})
	const jobs = 2*maxScan + 10
	for i := range jobs {
		rec := schemas.Record{ID: fmt.Sprintf("j%025d", i), Tenant: "local", State: schemas.StateSucceeded, CreatedUS: int64(i)}
		if i == 5 {
			rec.State = schemas.StateFailed
		}
		s.learn(rec, uint64(i+1))
	}
	s.sortAll()
	var found []string
	pages, from := 0, newest
	for {
		part := s.older("local", Filter{States: []schemas.State{schemas.StateFailed}}, from, 2)
		for _, job := range part.jobs {
			found = append(found, job.ID)
		}
		if pages++; part.done || pages > 3 {
			break
		}
		from = part.end
	}
	if pages != 3 || len(found) != 1 || found[0] != fmt.Sprintf("j%025d", 5) {
		t.Errorf("%d pages found %v", pages, found)
	}
}
