package campaign_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/campaign"
	"github.com/program-explorer/pe/schemas"
)

func cancelled(n int) map[schemas.State]int {
	return map[schemas.State]int{schemas.StateCancelled: n}
}

// TestCloseThenTheLastJobEnds: before both nothing is over.
func TestCloseThenTheLastJobEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver()
	g := w.gateway(true, nil)
	w.create(g, "a", r.callback())
	first, last := w.submit(g, tenant, "a"), w.submit(g, tenant, "a")
	w.end(g, first)
	w.close(g, "a")
	if c := w.get(g, "a"); c.State != schemas.CampaignClosed || c.Unfinished != 1 || c.Jobs[schemas.StateQueued] != 1 || c.Jobs[schemas.StateCancelled] != 1 {
		t.Errorf("while one job waits: %+v", c)
	}
	w.end(g, last)
	if c := w.ended(g, "a"); c.EndedUS < c.ClosedUS || c.Unfinished != 0 || !maps.Equal(c.Jobs, cancelled(2)) {
		t.Errorf("at the end: %+v", c)
	}
	w.eventually("the callback is told", func() bool { return r.events() == 1 })
	r.mu.Lock()
	defer r.mu.Unlock()
	var event schemas.WebhookEvent
	if err := json.Unmarshal(r.last, &event); err != nil || event.Type != schemas.EventCampaignEnded || event.Data.ID != "a" || !maps.Equal(event.Data.Jobs, cancelled(2)) {
		t.Errorf("%s, %v", r.last, err)
	}
}

// TestTheLastJobEndsThenClose: and a campaign without any job ends, too.
func TestTheLastJobEndsThenClose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver()
	g := w.gateway(true, nil)
	w.create(g, "a", r.callback())
	w.create(g, "none", r.callback())
	w.end(g, w.submit(g, tenant, "a"))
	if c := w.get(g, "a"); c.State != schemas.CampaignOpen {
		t.Errorf("before it is closed: %+v", c)
	}
	w.close(g, "a")
	w.close(g, "none")
	if c := w.ended(g, "a"); !maps.Equal(c.Jobs, cancelled(1)) {
		t.Errorf("%+v", c)
	}
	if c := w.ended(g, "none"); len(c.Jobs) != 0 {
		t.Errorf("%+v", c)
	}
	w.eventually("both are told", func() bool { return r.events() == 2 })
	if again := w.close(g, "a"); again.State != schemas.CampaignEnded {
		t.Errorf("closed again: %+v", again)
	}
}

// TestGatewayDiesBeforeItTells: the campaign that has ended is all that there is.
func TestGatewayDiesBeforeItTells(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver()
	dies := w.gateway(false, nil)
	w.create(dies, "a", r.callback())
	w.end(dies, w.submit(dies, tenant, "a"))
	w.close(dies, "a")
	end := w.ended(dies, "a")
	dies.stop()
	w.gateway(true, nil)
	w.gateway(true, nil)
	w.eventually("it is told", func() bool { return r.events() == 1 })
	if c := w.ended(w.gateway(true, nil), "a"); c.EndedUS != end.EndedUS || r.events() != 1 {
		t.Errorf("ended at %d, then %d; %d events", end.EndedUS, c.EndedUS, r.events())
	}
}

// TestRestart: a campaign that was closed outlives its gateways, and its end is told once.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver()
	first := w.gateway(true, nil)
	w.create(first, "a", r.callback())
	rec := w.submit(first, tenant, "a")
	w.close(first, "a")
	first.stop()
	second := w.gateway(true, nil)
	if c := w.get(second, "a"); c.State != schemas.CampaignClosed || c.Unfinished != 1 {
		t.Errorf("after a restart: %+v", c)
	}
	w.end(second, rec)
	w.ended(second, "a")
	w.eventually("it is told", func() bool { return r.events() == 1 })
	second.stop()
	third := w.gateway(true, nil)
	w.create(third, "b", r.callback())
	w.close(third, "b")
	w.eventually("the other one is told", func() bool { return r.events() == 2 }) // and the first not again
}

// TestTwoGateways hear of the same end, and tell one event.
func TestTwoGateways(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver()
	one, two := w.gateway(true, nil), w.gateway(true, nil)
	const all = 8
	var group sync.WaitGroup
	for i := range all {
		name := string(rune('a' + i))
		w.create(one, name, r.callback())
		rec := w.submit(one, tenant, name)
		group.Go(func() { w.end(two, rec) })
		group.Go(func() { w.close(one, name) })
	}
	group.Wait()
	ends := map[string]int64{}
	for i := range all {
		name := string(rune('a' + i))
		if a, b := w.ended(one, name), w.ended(two, name); a.EndedUS != b.EndedUS || !maps.Equal(a.Jobs, cancelled(1)) {
			t.Errorf("%+v and %+v", a, b)
		} else {
			ends[name] = a.EndedUS
		}
	}
	w.eventually("all are told", func() bool { return r.events() == all })
	w.create(two, "last", r.callback())
	w.close(two, "last")
	w.ended(one, "last")
	w.eventually("the last is told", func() bool { return r.events() > all })
	for i := range all { // who has ended the last has looked at what was due before
		if name := string(rune('a' + i)); w.ended(one, name).EndedUS != ends[name] {
			t.Errorf("campaign %s has ended twice", name)
		}
	}
}

// TestSubmitBesideClose: whatever came first, every job that was accepted is counted when all have ended.
func TestSubmitBesideClose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver()
	one, two := w.gateway(true, nil), w.gateway(true, nil)
	w.create(one, "a", r.callback())
	const jobs = 40
	var group sync.WaitGroup
	for i := range jobs {
		group.Go(func() {
			g := []*gateway{one, two}[i%2]
			w.end(g, w.submit(g, tenant, "a"))
		})
	}
	group.Go(func() { w.close(two, "a") })
	group.Wait()
	w.eventually("all jobs are counted", func() bool { return maps.Equal(w.get(one, "a").Jobs, cancelled(jobs)) && w.get(one, "a").EndedUS != 0 })
	w.eventually("the end is told", func() bool { return r.events() > 0 })
}

// TestLateJob: one that turns up after the end has the campaign end once more, which is another event.
func TestLateJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver()
	one, two := w.gateway(true, nil), w.gateway(true, nil)
	w.create(one, "a", r.callback())
	w.close(one, "a")
	first := w.ended(one, "a")
	w.eventually("it is told", func() bool { return r.events() == 1 })
	late := w.submit(two, tenant, "a")
	if c := w.get(two, "a"); c.Unfinished != 1 || c.EndedUS != first.EndedUS {
		t.Errorf("with a late job: %+v", c)
	}
	w.end(two, late)
	w.eventually("it has ended once more", func() bool { return w.get(one, "a").EndedUS > first.EndedUS })
	if c := w.get(one, "a"); !maps.Equal(c.Jobs, cancelled(1)) {
		t.Errorf("%+v", c)
	}
	w.eventually("it is told again", func() bool { return r.events() == 2 })
}

// TestQueueRestarts between close and end.
func TestQueueRestarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver()
	g := w.gateway(true, nil)
	w.create(g, "a", r.callback())
	rec := w.submit(g, tenant, "a")
	w.close(g, "a")
	w.server.Restart(t)
	w.eventually("the job is cancelled", func() bool { _, err := g.jobs.Cancel(t.Context(), tenant, rec.ID); return err == nil })
	w.ended(g, "a")
	w.eventually("it is told", func() bool { return r.events() == 1 })
}

// TestJobThatIsGone without having ended, of which nobody tells, keeps no campaign from ending.
func TestJobThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(false, func(c *campaign.Config) { c.Look = 20 * time.Millisecond })
	w.create(g, "a", schemas.CampaignSpec{})
	rec := w.submit(g, tenant, "a")
	w.close(g, "a")
	if err := w.server.Gateway(t, nil).Jobs.Delete(t.Context(), schemas.RecordKey(rec.Tenant, rec.ID), 0); err != nil {
		t.Fatal(err)
	}
	if c := w.ended(g, "a"); len(c.Jobs) != 0 {
		t.Errorf("%+v", c)
	}
}

// behind knows of a job only once it has caught up.
type behind struct {
	state   atomic.Value
	counted chan struct{} // once the job's state was counted
}

func (b *behind) Unfinished(string, string) int { return 0 }

func (b *behind) CampaignJobs(string, string) (map[schemas.State]int, error) { return nil, nil }

func (b *behind) SettledCampaignJobs(context.Context, string, string) (map[schemas.State]int, uint64, error) {
	counts := map[schemas.State]int{b.state.Load().(schemas.State): 1}
	select {
	case b.counted <- struct{}{}:
	default:
	}
	return counts, 2, nil
}

// TestIndexIsBehind: nothing ends on what a gateway knows before it has caught up.
func TestIndexIsBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jobs := &behind{counted: make(chan struct{}, 1)}
	jobs.state.Store(schemas.StateRunning)
	g := w.gateway(false, func(c *campaign.Config) { c.Jobs = jobs })
	w.create(g, "a", schemas.CampaignSpec{})
	w.close(g, "a")
	w.eventually("the job is counted", func() bool { return len(jobs.counted) == 1 })
	w.create(g, "b", schemas.CampaignSpec{}) // whose end comes after the look at the first
	jobs.state.Store(schemas.StateSucceeded)
	w.close(g, "b")
	w.ended(g, "b")
	if c := w.get(g, "a"); c.State != schemas.CampaignClosed {
		t.Errorf("ended before its job: %+v", c)
	}
	g.JobEnded(schemas.Record{Tenant: tenant, Labels: map[string]string{schemas.LabelCampaign: "a"}}, 2)
	if c := w.ended(g, "a"); c.Jobs[schemas.StateSucceeded] != 1 {
		t.Errorf("%+v", c)
	}
}

// stuck counts the jobs of one tenant for ever.
type stuck struct{ begun chan struct{} }

func (*stuck) Unfinished(string, string) int { return 0 }

func (*stuck) CampaignJobs(string, string) (map[schemas.State]int, error) { return nil, nil }

func (s *stuck) SettledCampaignJobs(ctx context.Context, of, _ string) (map[schemas.State]int, uint64, error) {
	if of == tenant {
		return nil, 1, nil
	}
	s.begun <- struct{}{}
	<-ctx.Done()
	return nil, 0, ctx.Err()
}

// TestTenantsDoNotWaitForOneAnother: however many campaigns of one are due, and however
// long each takes, another one's ends.
func TestTenantsDoNotWaitForOneAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	jobs := &stuck{begun: make(chan struct{}, 100)}
	g := w.gateway(false, func(c *campaign.Config) { c.Jobs = jobs })
	for i := range 20 {
		name := fmt.Sprint("c", i)
		if _, _, err := g.Create(t.Context(), "slow", name, schemas.CampaignSpec{}); err != nil {
			t.Fatal(err)
		}
		if _, err := g.Close(t.Context(), "slow", name); err != nil {
			t.Fatal(err)
		}
	}
	<-jobs.begun
	w.create(g, "a", schemas.CampaignSpec{})
	w.close(g, "a")
	w.ended(g, "a")
	if n := len(jobs.begun); n > 0 {
		t.Errorf("%d more of the slow tenant's are counted at once", n)
	}
}

// TestDeadAgain: a dead job that is brought back ends the campaign once more, also if it
// dies again, so that the counts are as they were.
func TestDeadAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver()
	one, two := w.gateway(true, nil), w.gateway(true, nil)
	w.create(one, "a", r.callback())
	job := w.submit(one, tenant, "a")
	w.rewrite(job, died)
	w.close(two, "a")
	end := w.ended(one, "a")
	for again := range 2 {
		w.rewrite(job, func(rec *schemas.Record) { rec.State, rec.EndedUS = schemas.StateQueued, 0 })
		w.eventually("it is back", func() bool { return w.get(one, "a").Unfinished == 1 })
		w.rewrite(job, died)
		w.eventually("it has ended once more", func() bool { return w.get(one, "a").EndedUS > end.EndedUS })
		end = w.ended(one, "a")
		if !maps.Equal(end.Jobs, map[schemas.State]int{schemas.StateDead: 1}) {
			t.Errorf("%+v", end)
		}
		w.eventually("it is told again", func() bool { return r.events() == 2+again })
	}
}

// TestEndsWhileNobodyLooks: ends that no gateway has counted before it went are news for the next.
func TestEndsWhileNobodyLooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver()
	g := w.gateway(true, nil)
	w.create(g, "a", r.callback())
	job := w.submit(g, tenant, "a")
	w.rewrite(job, died)
	w.close(g, "a")
	first := w.ended(g, "a")
	w.eventually("it is told", func() bool { return r.events() == 1 })
	g.stop()
	w.rewrite(job, func(rec *schemas.Record) { rec.State, rec.EndedUS = schemas.StateQueued, 0 })
	w.rewrite(job, died)
	g = w.gateway(true, nil)
	w.eventually("it has ended once more", func() bool { return w.get(g, "a").EndedUS > first.EndedUS })
	w.eventually("it is told again", func() bool { return r.events() == 2 })
}

func died(rec *schemas.Record) { rec.State, rec.EndedUS = schemas.StateDead, rec.CreatedUS+1 }

// TestBackAfterOthersExpired: whether there is news is not told by fewer jobs than were counted.
func TestBackAfterOthersExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver()
	g := w.gateway(true, nil)
	w.create(g, "a", r.callback())
	job := w.submit(g, tenant, "a")
	w.rewrite(job, died)
	early := []schemas.Record{w.submit(g, tenant, "a"), w.submit(g, tenant, "a"), w.submit(g, tenant, "a")}
	for _, rec := range early {
		w.end(g, rec)
	}
	w.close(g, "a")
	first := w.ended(g, "a")
	for _, rec := range early {
		if err := g.jobs.Remove(t.Context(), rec.Tenant, rec.ID); err != nil {
			t.Fatal(err)
		}
	}
	if c := w.get(g, "a"); c.EndedUS != first.EndedUS || c.Jobs[schemas.StateCancelled] != len(early) {
		t.Errorf("after records expired: %+v", c)
	}
	w.rewrite(job, func(rec *schemas.Record) { rec.State, rec.EndedUS = schemas.StateQueued, 0 })
	w.eventually("it is back", func() bool { return w.get(g, "a").Unfinished == 1 })
	w.end(g, job)
	w.eventually("it has ended once more", func() bool { return w.get(g, "a").EndedUS > first.EndedUS })
	if c := w.get(g, "a"); !maps.Equal(c.Jobs, cancelled(1)) {
		t.Errorf("of what is kept: %+v", c)
	}
	w.eventually("it is told again", func() bool { return r.events() == 2 })
}

// TestExpiryIsNoEnd: a record is written once more when its outputs expire.
func TestExpiryIsNoEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver()
	g := w.gateway(true, nil)
	w.create(g, "a", r.callback())
	job := w.submit(g, tenant, "a")
	w.end(g, job)
	w.close(g, "a")
	first := w.ended(g, "a")
	w.rewrite(job, func(rec *schemas.Record) { rec.PurgedUS = rec.EndedUS + 1 })
	if _, _, err := g.jobs.SettledCampaignJobs(t.Context(), tenant, "a"); err != nil { // it is heard of
		t.Fatal(err)
	}
	w.create(g, "b", r.callback())
	w.close(g, "b")
	w.ended(g, "b") // after whatever was due
	w.eventually("the other one is told", func() bool { return r.events() == 2 })
	if c := w.get(g, "a"); c.EndedUS != first.EndedUS {
		t.Errorf("ended at %d, then at %d", first.EndedUS, c.EndedUS)
	}
}
