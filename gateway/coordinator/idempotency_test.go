package coordinator_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// TestSameSubmitAfterTheEnd: minutes later, at a gateway that was not there then, it is the first job.
func TestSameSubmitAfterTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	var ahead atomic.Int64
	later := func(c *coordinator.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	}
	g := w.gateway(later)
	w.executor("e1", 1, nil)
	s := spec()
	s.IdempotencyKey = "order 66"
	first := w.wait(g, w.submit(g, s), schemas.StateSucceeded)
	ahead.Store(int64(15 * time.Minute))
	for _, g := range []*gateway{g, w.gateway(later)} {
		again, created, err := g.Submit(t.Context(), submission(s))
		if err != nil || created || again.ID != first.ID || again.State != schemas.StateSucceeded || again.CreatedUS != first.CreatedUS {
			t.Errorf("Submit again = %+v, %v, %v", again, created, err)
		}
	}
}

// TestEarlier: a request is known again by its key and what it asked for alone.
func TestEarlier(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(nil)
	s := submission(spec())
	s.Spec.IdempotencyKey, s.Request = "order 66", "what was asked for"
	if rec, found, err := g.Earlier(t.Context(), s); found || err != nil {
		t.Fatalf("before it came: %+v, %v", rec, err)
	}
	first, _, err := g.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	bare := coordinator.Submission{Tenant: s.Tenant, Spec: schemas.JobSpec{IdempotencyKey: "order 66"}, Request: s.Request}
	if rec, found, err := g.Earlier(t.Context(), bare); !found || err != nil || rec.ID != first.ID {
		t.Errorf("Earlier = %+v, %v, %v", rec, found, err)
	}
	bare.Request = "something else"
	if _, found, err := g.Earlier(t.Context(), bare); found || !errors.Is(err, coordinator.ErrKeyReused) {
		t.Errorf("another request: %v, %v", found, err)
	}
	bare.Tenant = "bob"
	if _, found, err := g.Earlier(t.Context(), bare); found || err != nil {
		t.Errorf("another tenant: %v, %v", found, err)
	}
}

// TestSameSubmitsRace: many keys, each at two gateways at once, while jobs already
// run and end: every key makes one job, which runs once.
func TestSameSubmitsRace(t *testing.T) {
	t.Parallel()
	const keys, clients = 60, 4
	w := newWorld(t, "e1")
	gateways := []*gateway{w.gateway(nil), w.gateway(nil)}
	w.executor("e1", 4, nil)
	var created atomic.Int32
	var mu sync.Mutex
	ids := map[string]string{}
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			for k := range keys {
				s := spec()
				s.IdempotencyKey = fmt.Sprint("key ", k)
				rec, first, err := gateways[client%2].Submit(t.Context(), submission(s))
				if err != nil {
					t.Errorf("%s: %v", s.IdempotencyKey, err)
					return
				}
				if first {
					created.Add(1)
				}
				mu.Lock()
				if id := ids[s.IdempotencyKey]; id != "" && id != rec.ID {
					t.Errorf("%s made %s and %s", s.IdempotencyKey, id, rec.ID)
				}
				ids[s.IdempotencyKey] = rec.ID
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if n := created.Load(); n != keys {
		t.Errorf("%d jobs created for %d keys", n, keys)
	}
	for _, id := range ids {
		if rec := w.wait(gateways[0], schemas.Record{Tenant: schemas.SingleTenant, ID: id}, schemas.StateSucceeded); len(rec.Attempts) != 1 {
			t.Errorf("job %s ran %d times", id, len(rec.Attempts))
		}
	}
}
