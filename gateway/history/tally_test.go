package history

import (
	"fmt"
	"maps"
	"runtime"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestTallies against a count of the jobs themselves, also once pages were rewritten.
func TestTallies(t *testing.T) {
	t.Parallel()
	r := random(t)
	states := []schemas.State{schemas.StateSucceeded, schemas.StateFailed, schemas.StateCancelled, schemas.StateExpired, schemas.StateDead}
	for range 50 {
		x, names := newIndex(), 1+r.IntN(40)
		pages := map[uint64][]schemas.HistoryJob{}
		for write := range uint64(12) {
			number := 1 + r.Uint64N(6)
			jobs := some(1+r.IntN(schemas.MaxHistoryJobs), number*schemas.MaxHistoryJobs)
			for i := range jobs {
				rec := &jobs[i].Record
				rec.State = states[r.IntN(len(states))]
				if name := r.IntN(names + 1); name < names {
					rec.Labels = map[string]string{schemas.LabelCampaign: fmt.Sprint(name), "other": "1"}
				}
			}
			pages[number] = jobs
			x.learn(tenant, pageOf(number, 1000+write, jobs))
		}
		snapshot := x.Snapshot(tenant)
		for name := range names + 1 { // the last has none
			want, got, newest := map[schemas.State]int{}, map[schemas.State]int{}, uint64(0)
			for _, jobs := range pages {
				for _, job := range jobs {
					if job.Record.Labels[schemas.LabelCampaign] == fmt.Sprint(name) {
						want[job.Record.State]++
						newest = max(newest, job.Revision)
					}
				}
			}
			if upTo := snapshot.Campaign(fmt.Sprint(name), got); !maps.Equal(got, want) || upTo < newest || len(want) == 0 && upTo > 0 {
				t.Fatalf("campaign %d has %v up to %d, want %v and %d", name, got, upTo, want, newest)
			}
		}
	}
	if upTo := newIndex().Snapshot(tenant).Campaign("0", nil); upTo != 0 {
		t.Errorf("without a page: %d", upTo)
	}
}

// TestLargestTally: a whole page's jobs, and the last of the states.
func TestLargestTally(t *testing.T) {
	t.Parallel()
	jobs := some(schemas.MaxHistoryJobs, 0)
	last := schemas.States[len(schemas.States)-1]
	for i := range jobs {
		jobs[i].Record.State, jobs[i].Record.Labels = last, map[string]string{schemas.LabelCampaign: "a"}
	}
	p, counts := pageOf(1, 1, jobs), map[schemas.State]int{}
	if (Snapshot{p}).Campaign("a", counts); counts[last] != len(jobs) || len(counts) != 1 || len(p.tallies) != 1 {
		t.Errorf("%v in %d tallies", counts, len(p.tallies))
	}
}

// TestSizeOfTallies: eight bytes a job if each is of a campaign of its own.
func TestSizeOfTallies(t *testing.T) {
	const pages, most = 400, 8.5
	all := make([]*page, pages)
	sets := make([][]schemas.HistoryJob, pages)
	for i := range all {
		sets[i] = some(schemas.MaxHistoryJobs, uint64(i*schemas.MaxHistoryJobs))
		all[i] = newPage(1, 1, sets[i])
	}
	for i := range sets {
		for j := range sets[i] {
			sets[i][j].Record.Labels = map[string]string{schemas.LabelCampaign: fmt.Sprint(i, j)}
		}
	}
	before := heap()
	for i, p := range all {
		p.tallies = talliesOf(sets[i], p.jobs)
	}
	each := float64(heap()-before) / (pages * schemas.MaxHistoryJobs)
	runtime.KeepAlive(all)
	runtime.KeepAlive(sets)
	if t.Logf("%.1f bytes a job", each); each > most {
		t.Errorf("%.1f bytes of memory a job, want %v at most", each, most)
	}
}
