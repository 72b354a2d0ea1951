package coordinator_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// TestCluster: three NATS servers, two gateways, two executors. While leaders of
// all streams change and a server is away and comes back, every job that was
// accepted ends once, and every end is told once at both gateways.
func TestCluster(t *testing.T) {
	t.Parallel()
	const clients, each = 4, 30
	cluster := queuetest.StartCluster(t, "e1", "e2")
	w := worldWith(t, cluster)
	w.store = &memory{}
	gateways := []*gateway{w.gateway(nil), w.gateway(nil)}
	for _, id := range []string{"e1", "e2"} {
		w.executor(id, 4, func(e *fakeExecutor) { e.stubborn = true })
	}
	readers := []*reader{w.events(gateways[0], coordinator.EventQuery{Now: true}), w.events(gateways[1], coordinator.EventQuery{Now: true})}

	streams := []string{"KV_" + schemas.BucketJobs, schemas.StreamJobs, schemas.StreamEvents}
	ended := make(chan struct{}, clients*each)
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			for i := range each {
				w.stubbornly(gateways[i%2], gateways[(i+1)%2], fmt.Sprintf("%d-%d", client, i))
				ended <- struct{}{}
			}
		})
	}
	after := func(n int, do func()) {
		for range n {
			<-ended
		}
		do()
	}
	for i := range 6 {
		after(10, func() { cluster.StepDown(t, streams[i%len(streams)]) })
	}
	away := 0
	after(10, func() {
		away = max(cluster.Leader(streams[0]), 0)
		cluster.Stop(away)
	})
	after(20, func() { cluster.Start(t, away) })
	group.Wait()
	for _, r := range readers {
		r.untilEnded(clients * each)
		for job, state := range r.ends {
			if state != schemas.StateSucceeded {
				t.Errorf("job %s is %s", job, state)
			}
		}
	}
	if t.Failed() {
		return
	}
	w.eventually("the server that was away has all records", func() bool {
		return cluster.Nodes[away].JetStreamIsStreamCurrent("$G", streams[0])
	})
}

// stubbornly submits a job until it is accepted, as clients do that have a key, and
// waits for its end at another gateway.
func (w *world) stubbornly(g, other *gateway, key string) {
	w.Helper()
	s := spec()
	s.IdempotencyKey = key
	var rec schemas.Record
	w.eventually("a job is accepted", func() (ok bool) {
		ctx, cancel := context.WithTimeout(w.Context(), 15*time.Second)
		defer cancel()
		var err error
		if rec, _, err = g.Submit(ctx, submission(s)); err != nil {
			w.Logf("submit %s: %v", key, err)
		}
		return err == nil
	})
	w.eventually("it ends", func() bool {
		ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
		defer cancel()
		got, err := other.Wait(ctx, rec.Tenant, rec.ID, func(r schemas.Record) bool { return r.State.Terminal() })
		if err != nil {
			w.Logf("wait for %s, which is %s: %v", rec.ID, got.State, err)
		}
		return err == nil
	})
}
