package history

import (
	"math/rand/v2"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// consumer takes what it has room for. Of the others it remembers the first, as
// whoever tells of ends does.
type consumer struct {
	room    int
	taken   map[uint64]bool
	leftOut uint64 // the revision before it; all ones for none
}

func (c *consumer) take(job schemas.HistoryJob) bool {
	switch {
	case c.taken[job.Revision]:
		return true
	case c.room == 0:
		c.leftOut = min(c.leftOut, job.Revision-1)
		return false
	}
	c.room--
	c.taken[job.Revision] = true
	return true
}

// scattered are jobs of pages whose revisions overlap.
func scattered(r *rand.Rand, pages int) (all [][]schemas.HistoryJob, last uint64) {
	all = make([][]schemas.HistoryJob, pages)
	for revision := uint64(1); revision <= 120; revision++ {
		if i := r.IntN(pages + 1); i < pages {
			all[i] = append(all[i], ended(int64(revision), revision-1))
		}
	}
	return all, 120
}

// TestSince: a consumer that stops anywhere, and goes on where it is told to, is given every job.
func TestSince(t *testing.T) {
	t.Parallel()
	r := random(t)
	h := newHistory(t, bucket(t))
	revisions := map[uint64]bool{}
	all, _ := scattered(r, 7)
	for _, jobs := range all {
		for _, job := range jobs {
			revisions[job.Revision] = true
		}
		if len(jobs) > 0 {
			write(t, h, jobs)
		}
	}
	for range 40 {
		c, rounds := &consumer{taken: map[uint64]bool{}}, 0
		for after, more := uint64(0), true; more; rounds++ {
			c.room, c.leftOut = 1+r.IntN(30), ^uint64(0)
			given := map[uint64]bool{}
			resume, err := h.Since(t.Context(), tenant, after, 0, func(job schemas.HistoryJob) bool {
				given[job.Revision] = true
				return c.take(job)
			})
			if err != nil {
				t.Fatal(err)
			}
			if resume == 0 {
				resume = ^uint64(0)
			}
			for revision := range revisions {
				if after < revision && revision <= resume && !given[revision] {
					t.Fatalf("after %d job %d was not given, resume is %d", after, revision, resume)
				}
			}
			after = min(resume, c.leftOut)
			if more = after != ^uint64(0); rounds > len(revisions) {
				t.Fatal("no end")
			}
		}
		if len(c.taken) != len(revisions) {
			t.Fatalf("%d jobs were taken in %d rounds, want %d", len(c.taken), rounds, len(revisions))
		}
	}
}

// TestSinceLeavesOut what is before the revision, pages that ended before the
// instant, and pages that are gone.
func TestSinceLeavesOut(t *testing.T) {
	t.Parallel()
	b := bucket(t)
	h, other := newHistory(t, b), newHistory(t, b)
	for i := range uint64(4) {
		write(t, h, some(10, 10*i))
	}
	gone, err := other.Open(t.Context(), tenant, 3)
	if err != nil {
		t.Fatal(err)
	}
	gone.Jobs = nil
	if err := other.Rewrite(t.Context(), gone); err != nil { // h has not heard of it
		t.Fatal(err)
	}
	var given []uint64
	resume, err := h.Since(t.Context(), tenant, 4, epoch+25, func(job schemas.HistoryJob) bool {
		given = append(given, job.Revision)
		return true
	})
	if err != nil || resume != 0 {
		t.Errorf("resume after %d, %v", resume, err)
	}
	// The first page's last job ended at 19, the second one's at 29.
	if len(given) != 20 || given[0] != 11 || given[19] != 40 {
		t.Errorf("given: %v", given)
	}
}
