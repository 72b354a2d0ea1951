package history

import (
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/program-explorer/pe/schemas"
)

// TestSizeOfJob: there is one for each job whose record is kept.
func TestSizeOfJob(t *testing.T) {
	if size := unsafe.Sizeof(job{}); size > 16 {
		t.Errorf("%d bytes are known of a job", size)
	}
	const pages, most = 400, 24
	before := heap()
	all := make([]*page, pages)
	for i := range all {
		all[i] = newPage(1, 1, some(schemas.MaxHistoryJobs, uint64(i*schemas.MaxHistoryJobs)))
	}
	each := float64(heap()-before) / (pages * schemas.MaxHistoryJobs)
	runtime.KeepAlive(all)
	if t.Logf("%.1f bytes a job", each); each > most {
		t.Errorf("%.1f bytes of memory a job, want %d at most", each, most)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one only found
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestIDs come back as they were: with the time of the job's creation, without
// one, and with another.
func TestIDs(t *testing.T) {
	t.Parallel()
	const created = epoch + 1_234_567
	var jobs []schemas.HistoryJob
	for i, id := range []string{
		idOf(created/1000, 1), idOf(created/1000, 2),
		idOf(0, 3), idOf(0, 4), // of idempotency keys
		idOf(created/1000+1, 5), idOf(created/1000-1, 6), idOf(1, 7), "j" + strings.Repeat("z", 25), "j" + strings.Repeat("0", 25),
		idOf(created/1000, 1)[:23] + "zzz", // its random part begins as that of another
	} {
		job := ended(0, uint64(i))
		job.Record.ID, job.Record.CreatedUS = id, created+int64(i%3)
		jobs = append(jobs, job)
	}
	first := jobs[0]
	first.Record.ID, first.Record.CreatedUS, first.Revision = idOf(0, 9), 0, 99 // both times are none
	jobs = append(jobs, first)
	p := pageOf(1, 1, jobs)
	for _, job := range jobs {
		id := job.Record.ID
		i := p.find(id, schemas.SplitJobID(id))
		if i < 0 || p.id(i) != id || p.mark(i) != (Mark{job.Record.CreatedUS, id}) || p.rev(i) != job.Revision {
			t.Errorf("job %s is found at %d", id, i)
		}
	}
	for _, id := range []string{idOf(created/1000, 3), idOf(0, 1), idOf(created/1000+1, 1), jobs[0].Record.ID[:25] + "y", "j" + strings.Repeat("z", 24) + "y"} {
		if i := p.find(id, schemas.SplitJobID(id)); i >= 0 {
			t.Errorf("job %s is found at %d, where %s is", id, i, p.id(i))
		}
	}
}

// TestTraits: what is known of a job without reading it.
func TestTraits(t *testing.T) {
	t.Parallel()
	for _, state := range schemas.States {
		for _, n := range []int{0, 1, 254, 255, 256, 1000} {
			rec := ended(0, 1).Record
			rec.State = state
			if n > 0 {
				rec.Attempts = []schemas.Attempt{{N: n}}
				rec.Archive = &schemas.Object{}
			}
			j := compact(&rec)
			if j.state() != state || j.is(stored) != rec.Stored() || j.is(cached) || int(j.won) != min(rec.Accepted(), wonUnknown) {
				t.Errorf("%s with attempt %d: %s, stored %v, won %d", state, n, j.state(), j.is(stored), j.won)
			}
			rec.PurgedUS, rec.Source = 1, &schemas.Source{}
			if j := compact(&rec); j.is(stored) || !j.is(cached) || j.won != 0 {
				t.Errorf("purged: stored %v, cached %v, won %d", j.is(stored), j.is(cached), j.won)
			}
		}
	}
}
