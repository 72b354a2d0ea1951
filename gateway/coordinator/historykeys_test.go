package coordinator_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// TestKeysWhileJobsMove: submissions under the keys of jobs that move into history in
// that moment give those jobs, alone and in batches, on every gateway.
func TestKeysWhileJobsMove(t *testing.T) {
	t.Parallel()
	w, clock := newWorld(t), &aging{}
	one, two := w.gateway(clock.config), w.gateway(clock.config)
	const jobs = schemas.MaxHistoryJobs
	recs := w.endSome(one, jobs, keyed)
	again := func(i int) coordinator.Submission {
		s := spec()
		keyed(i, &s)
		return submission(s)
	}
	moved := make(chan struct{})
	var submitters sync.WaitGroup
	for _, g := range []*gateway{one, two, one, two, one, two} {
		submitters.Go(func() {
			for left := moved; left != nil; {
				select {
				case <-left:
					left = nil // once more
				default:
				}
				i := rand.IntN(jobs - 2)
				rec, created, err := g.Submit(t.Context(), again(i))
				if err != nil || created || rec.ID != recs[i].ID || rec.CreatedUS != recs[i].CreatedUS {
					t.Errorf("job %d: %v, %v, %+v", i, created, err, rec)
					return
				}
				batch, err := g.SubmitBatch(t.Context(), []coordinator.Submission{again(i), again(i + 1), again(i + 2)}, true)
				if err != nil {
					t.Errorf("batch: %v", err)
					return
				}
				for n, c := range batch {
					if c.Created || c.Record.CreatedUS != recs[i+n].CreatedUS {
						t.Errorf("job %d of a batch: %+v", i+n, c)
					}
				}
			}
		})
	}
	clock.pass(2 * time.Minute)
	w.moved(0)
	close(moved)
	submitters.Wait()
	if n := w.inBucket(w.queues.Gateway(t, nil)); n != 0 {
		t.Errorf("%d new records", n)
	}
	for _, g := range []*gateway{one, two} {
		if n := g.Counts(schemas.SingleTenant)[schemas.StateCancelled]; n != jobs {
			t.Errorf("%d jobs, want %d", n, jobs)
		}
	}
}
