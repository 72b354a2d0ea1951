package history

import (
	"testing"
)

// TestSurplus: of pages that ended in any order those that ended last are kept, as
// many as have no more jobs than are wanted.
func TestSurplus(t *testing.T) {
	t.Parallel()
	r := random(t)
	for range 200 {
		x := newIndex()
		pages, revision := r.IntN(12), uint64(0)
		for n := range uint64(pages) {
			jobs := some(1+r.IntN(9), revision)
			for i := range jobs {
				jobs[i].Record.EndedUS += r.Int64N(40)
			}
			revision += uint64(len(jobs))
			x.learn(tenant, pageOf(n+1, n+1, jobs))
		}
		most := r.IntN(40)
		ended, tooMany := x.Surplus(most)[tenant]
		if tooMany != (most > 0 && int(revision) > most) {
			t.Fatalf("%d jobs, %d wanted: surplus is %v", revision, most, tooMany)
		}
		kept, last := 0, 0
		for _, p := range x.Pages() {
			switch n := len(x.tenants[tenant].numbered[p.Number].jobs); {
			case p.EndedUS > ended:
				kept += n
			case p.EndedUS == ended:
				last += n
			}
		}
		if tooMany && (kept > most || kept+last <= most) {
			t.Errorf("%d of %d jobs are kept, %d were wanted; %d are in the first page that is not", kept, revision, most, last)
		}
	}
}
