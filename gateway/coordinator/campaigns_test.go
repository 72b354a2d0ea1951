package coordinator_test

import (
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas"
)

func inCampaign(name string) schemas.JobSpec {
	s := spec()
	s.Labels = map[string]string{schemas.LabelCampaign: name}
	return s
}

// TestCampaignsAreCounted: what has not ended as it changes, everything by state when
// asked, and the same in a gateway that starts later.
func TestCampaignsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(nil)
	first, second := w.submit(g, inCampaign("a")), w.submit(g, inCampaign("a"))
	w.submit(g, inCampaign("b"))
	w.submit(g, spec())
	check := func(g *gateway, unfinished int, want map[schemas.State]int) {
		t.Helper()
		counts, upTo, err := g.SettledCampaignJobs(t.Context(), schemas.SingleTenant, "a")
		if err != nil || upTo == 0 || !maps.Equal(counts, want) {
			t.Errorf("jobs %v up to %d, %v; want %v", counts, upTo, err, want)
		}
		if n := g.Unfinished(schemas.SingleTenant, "a"); n != unfinished {
			t.Errorf("%d have not ended, want %d", n, unfinished)
		}
	}
	check(g, 2, map[schemas.State]int{schemas.StateQueued: 2})
	cancel := func(job string) {
		t.Helper()
		if _, err := g.Cancel(t.Context(), schemas.SingleTenant, job); err != nil {
			t.Fatal(err)
		}
	}
	cancel(first.ID)
	check(g, 1, map[schemas.State]int{schemas.StateQueued: 1, schemas.StateCancelled: 1})
	check(w.gateway(nil), 1, map[schemas.State]int{schemas.StateQueued: 1, schemas.StateCancelled: 1})
	cancel(second.ID)
	check(g, 0, map[schemas.State]int{schemas.StateCancelled: 2})
	other := submission(inCampaign("a"))
	other.Tenant = "other"
	if _, _, err := g.Submit(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	check(g, 0, map[schemas.State]int{schemas.StateCancelled: 2})
	if own, others := g.Unfinished("other", "a"), g.Unfinished("nobody", "a"); own != 1 || others != 0 {
		t.Errorf("of other tenants %d and %d", own, others)
	}
}

// TestCampaignsOfRemovedJobs: what is removed counts no more.
func TestCampaignsOfRemovedJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(nil)
	job := w.submit(g, inCampaign("a"))
	if _, err := g.Cancel(t.Context(), schemas.SingleTenant, job.ID); err != nil {
		t.Fatal(err)
	}
	if err := g.Remove(t.Context(), schemas.SingleTenant, job.ID); err != nil {
		t.Fatal(err)
	}
	if counts, err := g.CampaignJobs(schemas.SingleTenant, "a"); err != nil || len(counts) > 0 {
		t.Errorf("%v, %v", counts, err)
	}
}

// TestCampaignsAreCountedWhileJobsMove into history: each job is counted once at any
// moment, whatever other tenants' jobs do.
func TestCampaignsAreCountedWhileJobsMove(t *testing.T) {
	t.Parallel()
	w, clock := newWorld(t), &aging{}
	g := w.gateway(clock.config)
	const jobs = 2*schemas.MaxHistoryJobs + 10
	w.endSome(g, jobs, func(i int, s *schemas.JobSpec) {
		s.Labels = map[string]string{schemas.LabelCampaign: []string{"a", "b"}[i%2]}
	})
	late := w.gateway(clock.config)
	want := map[schemas.State]int{schemas.StateCancelled: jobs / 2}
	moved := make(chan struct{})
	var counters sync.WaitGroup
	for _, g := range []*gateway{g, late} {
		counters.Go(func() {
			for n, left := 0, moved; left != nil; n++ {
				select {
				case <-left:
					left = nil // once more
				default:
				}
				counts, err := g.CampaignJobs(schemas.SingleTenant, "a")
				if err != nil || !maps.Equal(counts, want) {
					t.Errorf("look %d: jobs %v, %v; want %v", n, counts, err, want)
					return
				}
			}
		})
	}
	clock.pass(time.Minute)
	w.moved(10)
	close(moved)
	counters.Wait()
}

// TestCampaignsAreCountedWithoutTheQueue: however many pages have their jobs, none is
// read, so that counting costs nobody anything.
func TestCampaignsAreCountedWithoutTheQueue(t *testing.T) {
	t.Parallel()
	w, clock := newWorld(t), &aging{}
	g := w.gateway(clock.config)
	const jobs, left = schemas.MaxHistoryJobs + 10, 10
	w.endSome(g, jobs, func(i int, s *schemas.JobSpec) {
		s.Labels = map[string]string{schemas.LabelCampaign: strconv.Itoa(i % (jobs / 2))}
	})
	clock.pass(time.Minute)
	w.moved(left)
	late := w.gateway(clock.config)
	w.server.Outage(t, func() {
		for _, g := range []*gateway{g, late} {
			for i := range jobs / 2 {
				counts, err := g.CampaignJobs(schemas.SingleTenant, strconv.Itoa(i))
				if want := map[schemas.State]int{schemas.StateCancelled: 2}; err != nil || !maps.Equal(counts, want) {
					t.Fatalf("campaign %d: jobs %v, %v; want %v", i, counts, err, want)
				}
			}
		}
	})
}
