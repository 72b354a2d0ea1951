package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

func (w *world) state(g *gateway, id string) schemas.Executor {
	for _, e := range g.Executors() {
		if e.Executor == id {
			return e
		}
	}
	return schemas.Executor{}
}

// TestAbsentExecutor: a job that only a lost executor could run waits for it,
// says so, also at a gateway that never heard it, and runs when it is back.
func TestAbsentExecutor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "cellar", "other")
	g := w.gateway(quick)
	w.executor("other", 1, nil)
	label := func(e *fakeExecutor) { e.facts.Labels = map[string]string{"site": "basement"} }
	left := time.Now()
	w.executor("cellar", 1, label).stop()
	w.eventually("it is lost", func() bool { return w.state(g, "cellar").State == "lost" })
	s := spec()
	s.Requires.Labels = map[string]string{"site": "basement"}
	rec := w.submit(g, s)
	seen := time.UnixMicro(w.state(g, "cellar").SeenUS)
	if seen.Before(left.Add(-time.Second)) || seen.After(time.Now()) {
		t.Errorf("seen at %s", seen)
	}
	says := "it waits for cellar (not seen since " + seen.UTC().Format("2006-01-02 15:04:05") + " UTC); it expires at "
	if got := g.Waiting(rec); !strings.Contains(got, says) {
		t.Errorf("waiting: %s, want %s", got, says)
	}
	// The loss is written in the background.
	w.eventually("another gateway knows since when", func() bool {
		late := w.gateway(quick)
		defer late.stop()
		w.eventually("it has read the executors", func() bool { return len(late.Executors()) == 2 })
		return w.state(late, "cellar").State == "lost" && w.state(late, "cellar").SeenUS == seen.UnixMicro()
	})
	w.executor("cellar", 1, label)
	if rec = w.wait(g, rec, schemas.StateSucceeded); rec.Attempts[0].Executor != "cellar" {
		t.Errorf("ran on %s", rec.Attempts[0].Executor)
	}
}

func TestExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "arm")
	gateways := []*gateway{w.gateway(nil), w.gateway(nil)}
	s := spec()
	s.QueueTimeoutMS = 1000
	rec := w.submit(gateways[0], s)
	ended := w.wait(gateways[1], rec, schemas.StateExpired)
	if waited := ended.EndedUS - rec.QueuedUS; waited < 1e6 || waited > 10e6 {
		t.Errorf("expired after %d µs", waited)
	}
	want := "no executor took the job within 1s: no executor is known that has what the job requires"
	if f := ended.Failure; f == nil || f.Code != schemas.FailCapacity || f.Message != want || ended.Outcome != nil {
		t.Errorf("failure %+v", f)
	}
}

// TestNamedExecutor: what its owner says counts when the job is claimed, whatever
// was known when it was submitted.
func TestNamedExecutor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "board")
	g := w.gateway(nil)
	s := spec()
	s.Requires.Executor = "board"
	mine, theirs := submission(s), submission(s)
	mine.Tenant, theirs.Tenant = "ann", "bob"
	var recs []schemas.Record
	for _, sub := range []coordinator.Submission{mine, theirs} {
		rec, _, err := g.Submit(t.Context(), sub)
		if err != nil {
			t.Fatal(err)
		}
		recs = append(recs, rec)
	}
	w.executor("board", 1, func(e *fakeExecutor) { e.facts.Owner = "ann" })
	w.wait(g, recs[0], schemas.StateSucceeded)
	rec := w.wait(g, recs[1], schemas.StateDead)
	if f := rec.Failure; f == nil || f.Code != schemas.FailCapacity || len(rec.Attempts) != 0 {
		t.Errorf("record %+v", rec)
	}
}

// TestRetiredPool: nobody serves it any more. Nothing of it is left at the
// server, its jobs are queued, and run once somebody is back.
func TestRetiredPool(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	brief := func(c *coordinator.Config) { quick(c); c.PoolIdle = 500 * time.Millisecond }
	gateways := []*gateway{w.gateway(brief), w.gateway(brief)}
	e := w.idle("e1", nil) // takes nothing: offers lie in the stream
	var recs []schemas.Record
	for range 5 {
		recs = append(recs, w.submit(gateways[0], spec()))
	}
	w.eventually("offers are there", func() bool { o, c := w.queued(); return o > 0 && c == 2 })
	e.stop()
	w.eventually("offers and consumers are gone", func() bool { o, c := w.queued(); return o == 0 && c == 0 })
	for _, rec := range recs {
		if got, err := gateways[1].Get(t.Context(), rec.Tenant, rec.ID); err != nil || got.State != schemas.StateQueued {
			t.Errorf("job is %s, %v", got.State, err)
		}
	}
	w.executor("e1", 1, nil)
	for _, rec := range recs {
		if rec = w.wait(gateways[1], rec, schemas.StateSucceeded); len(rec.Attempts) != 1 {
			t.Errorf("%d attempts", len(rec.Attempts))
		}
	}
}

// queued is how many offers and consumers the stream of jobs has.
func (w *world) queued() (offers uint64, consumers int) {
	w.Helper()
	info, err := w.server.Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		w.Fatal(err)
	}
	for _, a := range info.AccountDetails {
		for _, s := range a.Streams {
			if s.Name == schemas.StreamJobs {
				return s.State.Msgs - 1, s.State.Consumers // one is no offer
			}
		}
	}
	return 0, 0
}

// TestPoolsAreCappedForAWhile: a tenant cannot have any number of pools made by
// ending its jobs, also not at a gateway that has just started.
func TestPoolsAreCappedForAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var later atomic.Int64
	few := func(c *coordinator.Config) {
		c.Limits.Default.Pools, c.PoolIdle = 2, time.Hour
		c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	}
	g := w.gateway(few)
	site := func(name string) schemas.JobSpec {
		s := spec()
		s.Requires.Labels = map[string]string{"site": name}
		return s
	}
	for _, name := range []string{"a", "b"} {
		rec := w.submit(g, site(name))
		if _, err := g.Cancel(t.Context(), rec.Tenant, rec.ID); err != nil {
			t.Fatal(err)
		}
	}
	late := w.gateway(few)
	for _, g := range []*gateway{g, late} {
		if _, _, err := g.Submit(t.Context(), submission(site("c"))); !errors.Is(err, coordinator.ErrTooMany) {
			t.Errorf("a third pool: %v", err)
		}
	}
	w.submit(late, site("a")) // still its own
	later.Store(int64(2 * time.Hour))
	w.submit(g, site("c"))
}

// TestStartingGatewayTellsAllPools: one that has not read them all must not make
// executors drop those that they serve.
func TestStartingGatewayTellsAllPools(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	e := w.executor("e1", 1, nil)
	for i := range 20 {
		s := spec()
		s.Requires.Kernel = fmt.Sprint(i)
		e.facts.Offers = append(e.facts.Offers, schemas.Offering{Arch: "amd64", Isolation: schemas.IsolationVM, Kernel: fmt.Sprint(i)})
		e.hello()
		w.wait(g, w.submit(g, s), schemas.StateSucceeded)
	}
	g.stop()
	first := make(chan int)
	go func() {
		for {
			var reply schemas.HelloReply
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			err := e.queue.Ask(ctx, schemas.VerbHello, e.facts, &reply)
			cancel()
			if err == nil {
				first <- len(reply.Pools)
				return
			}
		}
	}()
	w.gateway(nil)
	if n := <-first; n != 20 {
		t.Errorf("the first answer lists %d pools, want 20", n)
	}
}
