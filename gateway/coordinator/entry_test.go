package coordinator

import (
	"testing"
	"time"
	"unsafe"

	"github.com/program-explorer/pe/gateway/feeder"
	"github.com/program-explorer/pe/schemas"
)

// TestEndedEntryIsSmall: a gateway has one for each job that ever ended and whose
// record is kept. 80 is a size of Go's allocator; the next takes 96.
func TestEndedEntryIsSmall(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(entry{}); size > 80 {
		t.Errorf("an entry has %d bytes", size)
	}
	s := newState(feeder.New(feeder.Config{}), time.Now, func(_, _ schemas.State) {})
	s.sortAll()
	rec := schemas.Record{Tenant: "a", ID: "j1", State: schemas.StateQueued}
	key := schemas.RecordKey(rec.Tenant, rec.ID)
	s.learn(rec, 1)
	rec.State, rec.Attempts = schemas.StateRunning, []schemas.Attempt{{N: 1, Executor: "e1"}}
	s.learn(rec, 2)
	if e := s.jobs[key]; e.rec() == nil || e.holder() != "e1" || e.state() != rec.State {
		t.Errorf("of a running job is known: %+v", e)
	}
	_, _, stop := s.hear(key)
	rec.State, rec.EndedUS, rec.Attempts[0].EndedUS = schemas.StateSucceeded, 1, 1
	s.learn(rec, 3)
	if s.jobs[key].more == nil {
		t.Error("whoever hears of the job is forgotten")
	}
	stop()
	if e := s.jobs[key]; e.more != nil || e.state() != rec.State || len(s.running) != 0 {
		t.Errorf("of an ended job is kept: %+v", e.more)
	}
	rec.PurgedUS = 7
	s.learn(rec, 4)
	if e := s.jobs[key]; e.purged() != 7 || e.id() != rec.ID {
		t.Errorf("%s: outputs expired at %d", e.id(), e.purged())
	}
}
