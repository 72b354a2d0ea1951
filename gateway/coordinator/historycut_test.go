package coordinator_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// line leads to a server, and can be cut.
type line struct {
	*queuetest.Server
	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

var errCut = errors.New("the line is cut")

func (l *line) InProcessConn() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return nil, errCut
	}
	c, err := l.Server.InProcessConn()
	l.conns = append(l.conns, c)
	return c, err
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

func (l *line) queue(t *testing.T) *jobqueue.Queue {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	q, err := jobqueue.Connect(ctx, jobqueue.Config{Server: l, User: "gateway", Password: "test", Name: "cut off", Synced: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

// TestEndsWhileCutOff: jobs end, some were made, and all have left the bucket before a
// gateway is connected again. Who waits there, who follows events and who tells of ends hear of each.
func TestEndsWhileCutOff(t *testing.T) {
	t.Parallel()
	w, clock := newWorld(t), &aging{}
	g, l := w.gateway(clock.config), &line{Server: w.server}
	var ended ends
	other := w.gateway(func(c *coordinator.Config) {
		clock.config(c)
		c.Queue, c.OnEnded = l.queue(t), ended.note
	})
	const jobs, before = schemas.MaxHistoryJobs, 200
	var known []coordinator.Submission
	for i := range before {
		s := spec()
		labelled(i, &s)
		known = append(known, submission(s))
	}
	recs := make([]schemas.Record, 0, jobs)
	created, err := g.SubmitBatch(t.Context(), known, true)
	if err == nil {
		err = other.CatchUp(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	events, err := other.Events(ctx, schemas.SingleTenant, coordinator.EventQuery{Now: true})
	if err != nil {
		t.Fatal(err)
	}
	var waiters sync.WaitGroup
	for i := 0; i < before; i += 40 {
		rec, h := created[i].Record, make(chan struct{})
		waiters.Go(func() {
			asked := sync.OnceFunc(func() { close(h) })
			rec, err := other.Wait(ctx, rec.Tenant, rec.ID, func(r schemas.Record) bool { asked(); return r.State.Terminal() })
			if err != nil || rec.State != schemas.StateCancelled {
				t.Errorf("waited for: %s, %v", rec.State, err)
			}
		})
		<-h
	}
	l.cut()
	for _, c := range created {
		rec, err := g.Cancel(t.Context(), c.Record.Tenant, c.Record.ID)
		if err != nil {
			t.Fatal(err)
		}
		recs = append(recs, rec)
	}
	recs = append(recs, w.endSome(g, jobs-before, labelled)...)
	clock.pass(time.Minute)
	w.moved(0)
	for _, rec := range recs {
		if here, heard := ended.of(rec.ID); here+heard > 0 {
			t.Fatalf("the line is not cut: job %s has ended", rec.ID)
		}
	}
	l.mend()
	waiters.Wait()
	told := map[string]schemas.State{}
	for ends := 0; ends < jobs; {
		select {
		case u, ok := <-events:
			if !ok {
				t.Fatalf("%d of %d ends were told as events", ends, jobs)
			}
			if u.Job != nil && u.Job.State.Terminal() && told[u.Job.Job] != u.Job.State {
				told[u.Job.Job] = u.Job.State
				ends++
			}
		case <-ctx.Done():
			t.Fatalf("%d of %d ends were told as events", ends, jobs)
		}
	}
	w.eventually("all ends are heard of", func() bool {
		for _, rec := range recs {
			if _, heard := ended.of(rec.ID); heard == 0 {
				return false
			}
		}
		return true
	})
	if n := other.Counts(schemas.SingleTenant)[schemas.StateCancelled]; n != jobs {
		t.Errorf("%d jobs, want %d", n, jobs)
	}
}
