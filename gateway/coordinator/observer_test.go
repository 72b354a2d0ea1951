package coordinator_test

import (
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// TestObserverCutOff: while nobody hears anybody, for longer than a lease, nobody
// is lost. Afterwards who is there again keeps its attempt, and who is not loses
// it, within a lease and a half.
func TestObserverCutOff(t *testing.T) {
	t.Parallel()
	const lease = 5 * time.Second
	w := newWorld(t, "there", "gone")
	g := w.gateway(func(c *coordinator.Config) { quick(c); c.Lease = lease })
	there, gone := w.idle("there", nil), w.idle("gone", nil)
	kept, lost := w.submit(g, spec()), w.submit(g, spec())
	a := w.granted(there, kept)
	w.granted(gone, lost)
	gone.setSilent(true)
	w.server.Outage(t, func() { time.Sleep(2 * lease) }) // it is this time that matters
	w.eventually("connected again", func() bool { return g.Ready() == nil })
	begin := time.Now()
	for _, rec := range []schemas.Record{kept, lost} {
		if now := w.wait(g, rec, schemas.States...); now.State != schemas.StateRunning {
			t.Errorf("%s was taken from its executor while nobody could hear it: %+v", rec.ID, now.Attempts)
		}
	}
	w.wait(g, lost, schemas.StateQueued)
	if took := time.Since(begin); took > lease+lease/2+slack {
		t.Errorf("found lost %s after the connection was back", took)
	}
	there.mustReport(a, there.inlineResult(a), schemas.VerdictAccepted)
	if rec := w.wait(g, kept, schemas.StateSucceeded); len(rec.Attempts) != 1 {
		t.Errorf("attempts %+v", rec.Attempts)
	}
}

// slack is for a busy machine.
const slack = 10 * time.Second
