package executor_test

import (
	"testing"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// slowWorld has heartbeats so rare that nothing happens because of one.
func slowWorld(t *testing.T, executors ...string) *world {
	t.Helper()
	return coordinated(t, coordinator.Config{Lease: 10 * time.Minute, Beat: 5 * time.Minute, Reconcile: 5 * time.Minute}, executors...)
}

// TestNewPoolWithinASecond: the first job with its requirements need not wait
// for a heartbeat.
func TestNewPoolWithinASecond(t *testing.T) {
	t.Parallel()
	w := slowWorld(t, "one")
	e := w.executor("one", &stub{}, func(c *executor.Config) { c.Labels = map[string]string{"site": "basement", "disk": "ssd"} })
	<-e.Registered()
	for _, labels := range []map[string]string{nil, {"site": "basement"}, {"disk": "ssd"}} {
		job := spec()
		job.Requires.Labels = labels
		rec := w.wait(w.submit(job), schemas.StateSucceeded)
		if waited := time.Duration(rec.Attempts[0].ClaimedUS-rec.QueuedUS) * time.Microsecond; waited > time.Second {
			t.Errorf("the first job with labels %v waited for %s", labels, waited)
		}
	}
}

// TestDrainingIsToldAtOnce also by an executor that has nothing to wait for.
func TestDrainingIsToldAtOnce(t *testing.T) {
	t.Parallel()
	w := slowWorld(t, "busy", "idle")
	state := func(id string) string {
		for _, e := range w.Executors() {
			if e.Executor == id {
				return e.State
			}
		}
		return ""
	}
	b := newBlocks()
	busy := w.executor("busy", &stub{run: b.run}, nil)
	<-busy.Registered()
	w.submit(spec())
	b.wait(w, 1)
	busy.ask()
	w.eventually("the busy one drains", func() bool { return state("busy") == "draining" })
	close(b.release)
	idle := w.executor("idle", &stub{}, nil)
	<-idle.Registered()
	idle.stop()
	w.eventually("the idle one has drained", func() bool { return state("idle") == "draining" })
}
