package executor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/noop"
	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// kind is a no-op runner that claims to be another one.
type kind struct {
	*noop.Runner
	offering schemas.Offering
}

func (k kind) Offering() schemas.Offering { return k.offering }

// chance makes a random fleet, and what jobs of it require. The same seed makes the same.
type chance struct{ *rand.Rand }

func (c chance) pick(from ...string) string { return from[c.IntN(len(from))] }
func (c chance) one(in int) bool            { return c.IntN(in) == 0 }

func (c chance) offering() schemas.Offering {
	o := schemas.Offering{
		Arch: c.pick("amd64", "amd64", "amd64", "arm64", "riscv64"), Isolation: c.pick("vm", "vm", "vm", "gvisor", "container"),
		Kernel: c.pick("6.1.0-32", "6.12.5"), CPUModel: c.pick("AMD EPYC 7763 64-Core Processor", "Intel(R) Xeon(R) Gold 6342"),
	}
	if o.Isolation == schemas.IsolationVM {
		o.Accel = c.pick("tcg", "kvm")
	}
	for _, f := range []string{"aes", "avx2", "sve"} {
		if c.one(2) {
			o.Features = append(o.Features, f)
		}
	}
	return o
}

func (c chance) labels() map[string]string {
	labels := map[string]string{}
	if c.one(2) {
		labels["site"] = c.pick("basement", "attic")
	}
	if c.one(3) {
		labels["disk"] = "ssd"
	}
	if c.one(4) {
		labels["gpu"] = ""
	}
	return labels
}

// requires asks for some of what an executor has, so that at least that one fits.
func (c chance) requires(f schemas.Facts) schemas.Requires {
	o := f.Offers[c.IntN(len(f.Offers))]
	r := schemas.Requires{Arch: o.Arch, Isolation: o.Isolation, Labels: map[string]string{}}
	if o.Isolation != schemas.IsolationContainer && c.one(2) {
		r.Isolation = schemas.IsolationStrong
	}
	if c.one(8) {
		r.Accel = o.Accel
	}
	if c.one(10) {
		r.Kernel, _, _ = strings.Cut(o.Kernel, "-")
	}
	if c.one(10) {
		r.Features = o.Features
	}
	if c.one(12) {
		r.CPUModel = "epyc"
	}
	for k, v := range f.Labels {
		if c.one(5) {
			r.Labels[k] = v
		}
	}
	if c.one(12) {
		r.Executor = f.Executor
	}
	if !r.SatisfiedBy(f) { // the CPU is another one
		r.CPUModel = ""
	}
	return r
}

// TestFleet takes jobs with random requirements through the real queue to
// executors with random capabilities. Every job runs where it may; none waits
// while a slot that fits is free for longer than a second; and of the executors
// that had a slot free for a while, one that fits best got it.
func TestFleet(t *testing.T) {
	const executors, jobs, kinds = 8, 1000, 40
	c := chance{rand.New(rand.NewPCG(4, 8))}
	var ids []string
	for i := range executors {
		ids = append(ids, fmt.Sprintf("e%d", i))
	}
	w := coordinated(t, coordinator.Config{}, ids...) // heartbeats and repairs are too rare to help
	fleet := map[string]*simulated{}
	for _, id := range ids {
		fleet[id] = w.simulate(id, c)
	}
	var wants []schemas.Requires
	for range kinds {
		wants = append(wants, c.requires(fleet[ids[c.IntN(executors)]].facts))
	}
	begin := time.Now()
	stalled := bystander(t)
	ended := w.flood(jobs, wants, c)
	took := time.Since(begin)
	stall := stalled()
	for _, rec := range ended {
		w.checkFits(rec, fleet)
		fleet[rec.Attempts[0].Executor].take(rec)
	}
	for _, e := range fleet {
		e.settle()
	}
	seen := judge(ended, fleet)
	t.Logf("%d jobs of %d kinds in %.1f s: longest wait beside a free slot %d ms, stall of this machine %d ms; %d had a choice, %d of them got the best fit, %d passed over one that was free for %s",
		jobs, kinds, took.Seconds(), seen.longest.Milliseconds(), stall.Milliseconds(), seen.choice, seen.best, seen.passed, settled)
	// The way from one to the other takes a few synced writes: what a bystander waited for one, it may wait for each.
	if seen.longest > time.Second+syncedWrites*stall {
		t.Errorf("%s waited for %s while a slot was free that fits", seen.who, seen.longest)
	}
	if seen.choice < jobs/10 {
		t.Errorf("only %d jobs had a choice: this shows nothing", seen.choice)
	}
	// Without priorities it is every third one.
	if seen.passed > seen.choice/10 {
		t.Errorf("%d jobs went to an executor that fits worse than one that was free for %s", seen.passed, settled)
	}
}

// syncedWrites are on a job's way from its creation to its claim.
const syncedWrites = 3

// bystander writes a file again and again, and syncs it, until the returned
// function is called: that says how long it had to wait at most.
func bystander(t *testing.T) func() time.Duration {
	file, err := os.Create(filepath.Join(t.TempDir(), "bystander"))
	if err != nil {
		t.Fatal(err)
	}
	var longest time.Duration
	var writing sync.WaitGroup
	over := make(chan struct{})
	writing.Go(func() {
		defer file.Close()
		for {
			begin := time.Now()
			if _, err := file.WriteAt([]byte("x"), 0); err != nil {
				t.Error(err)
			}
			if err := file.Sync(); err != nil {
				t.Error(err)
			}
			longest = max(longest, time.Since(begin))
			select {
			case <-over:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	return func() time.Duration {
		close(over)
		writing.Wait()
		return longest
	}
}

// simulated is a real executor with pretended capabilities, and who had its slots when.
type simulated struct {
	facts schemas.Facts
	steps []step
}

// step changes how many slots are taken.
type step struct {
	atUS int64
	by   int
}

func (w *world) simulate(id string, c chance) *simulated {
	w.Helper()
	var runners []executor.Runner
	for range 1 + c.IntN(3) {
		r, err := noop.New(noop.Config{Run: time.Duration(5+c.IntN(40)) * time.Millisecond})
		if err != nil {
			w.Fatal(err)
		}
		runners = append(runners, kind{r, c.offering()})
	}
	slots, labels := 1+c.IntN(4), c.labels()
	e := w.executor(id, runners[0], func(cfg *executor.Config) { cfg.Runners, cfg.Slots, cfg.Labels = runners, slots, labels })
	<-e.Registered()
	w.Logf("%s: %d slots, labels %v, offers %v", id, slots, labels, e.Facts().Offers)
	return &simulated{facts: e.Facts()}
}

// flood submits two fifths of the jobs at a pace that leaves slots free, then the rest at once.
func (w *world) flood(jobs int, wants []schemas.Requires, c chance) []schemas.Record {
	w.Helper()
	var mu sync.Mutex
	var ended []schemas.Record
	var clients sync.WaitGroup
	// A job counts as queued from when its submission began, and hundreds of
	// submissions at once would wait for each other's writes.
	atOnce := make(chan struct{}, 16)
	job := func(needs schemas.Requires) {
		s := spec()
		s.Requires = needs
		if rec, err := w.toItsEnd(s, atOnce); err != nil {
			w.Error(err)
		} else {
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, rec)
		}
	}
	next := func() schemas.Requires { return wants[c.IntN(len(wants))] }
	for range jobs * 2 / 5 {
		needs := next()
		clients.Go(func() { job(needs) })
		time.Sleep(time.Duration(c.IntN(30)) * time.Millisecond)
	}
	clients.Wait()
	for range jobs - jobs*2/5 {
		needs := next()
		clients.Go(func() { job(needs) })
	}
	clients.Wait()
	return ended
}

func (w *world) toItsEnd(s schemas.JobSpec, atOnce chan struct{}) (schemas.Record, error) {
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	atOnce <- struct{}{}
	rec, _, err := w.Submit(ctx, coordinator.Submission{Tenant: schemas.SingleTenant, Spec: s, Image: imageRef()})
	<-atOnce
	if err == nil {
		rec, err = w.Wait(ctx, rec.Tenant, rec.ID, func(r schemas.Record) bool { return r.State.Terminal() })
	}
	if err == nil && (rec.State != schemas.StateSucceeded || len(rec.Attempts) != 1) {
		err = fmt.Errorf("job %s ended as %s after %d attempts: %v", rec.ID, rec.State, len(rec.Attempts), rec.Failure)
	}
	return rec, err
}

// checkFits: the executor has what the job requires, and so has the machine that it took.
func (w *world) checkFits(rec schemas.Record, fleet map[string]*simulated) {
	w.Helper()
	facts := fleet[rec.Attempts[0].Executor].facts
	if lacks := rec.Needs.Lacks(facts); len(lacks) > 0 {
		w.Errorf("job that requires %s ran on %s, which lacks %q", rec.Needs, facts.Executor, lacks)
	}
	ran := w.result(rec).RanOn
	facts.Offers = slices.DeleteFunc(slices.Clone(facts.Offers), func(o schemas.Offering) bool {
		return o.Arch != ran.Arch || o.Isolation != ran.Isolation || o.Accel != ran.Accel
	})
	if !rec.Needs.SatisfiedBy(facts) {
		w.Errorf("job that requires %s ran in %s %s %s", rec.Needs, ran.Arch, ran.Isolation, ran.Accel)
	}
}

func (e *simulated) take(rec schemas.Record) {
	e.steps = append(e.steps, step{rec.Attempts[0].ClaimedUS, 1}, step{rec.EndedUS, -1})
}

func (e *simulated) settle() {
	slices.SortFunc(e.steps, func(a, b step) int { return int(a.atUS - b.atUS) })
}

// free is the longest time within an interval in which a slot was free.
func (e *simulated) free(fromUS, toUS int64) (longest int64) {
	taken, since := 0, int64(0)
	note := func(untilUS int64) {
		if taken < e.facts.Slots {
			longest = max(longest, min(untilUS, toUS)-max(since, fromUS))
		}
	}
	for _, s := range e.steps {
		note(s.atUS)
		taken += s.by
		since = s.atUS
	}
	note(toUS)
	return longest
}

// settled is how long a slot must have been free before passing it over counts:
// asking for the next job takes a few milliseconds, on a busy host more.
const settled = 100 * time.Millisecond

type verdict struct {
	longest time.Duration
	who     string
	// choice counts the jobs for which executors that fit unlike well were free;
	// best those that got one of the best; passed those that did not.
	choice, best, passed int
}

func judge(ended []schemas.Record, fleet map[string]*simulated) (v verdict) {
	for _, rec := range ended {
		claimed := rec.Attempts[0].ClaimedUS
		got := rec.Needs.Surplus(fleet[rec.Attempts[0].Executor].facts)
		least, most := got, got
		for _, e := range fleet {
			if !rec.Needs.SatisfiedBy(e.facts) {
				continue
			}
			if waited := time.Duration(e.free(rec.QueuedUS, claimed)) * time.Microsecond; waited > v.longest {
				v.longest, v.who = waited, rec.ID
			}
			if e.free(claimed-settled.Microseconds(), claimed) == settled.Microseconds() {
				surplus := rec.Needs.Surplus(e.facts)
				least, most = min(least, surplus), max(most, surplus)
			}
		}
		switch {
		case least == most:
			continue
		case got == least:
			v.best++
		default:
			v.passed++
		}
		v.choice++
	}
	return v
}
