package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// The control plane alone: everything real but the machines, which run nothing.
const (
	// controlClients submit at once, and as many slots run their jobs.
	controlClients = 64
	// controlPeriod is how long each run of the load takes.
	controlPeriod = 5 * time.Second
	controlPrefix = "stage.control."
)

var noopSpec = schemas.JobSpec{
	Image: "busybox", Args: trueArgs,
	Requires: schemas.Requires{Isolation: schemas.IsolationContainer, Kernel: "noop"},
}

// control lists what measures the control plane.
func control(c config, work string) []contestant {
	return []contestant{
		controlLoad(noopBox(c, filepath.Join(work, "control"), controlClients, 0)),
		cacheHit(noopBox(c, filepath.Join(work, "cache"), 1, 0)),
		controlBatches(noopBox(c, filepath.Join(work, "batches"), 1, time.Hour)),
		controlSynced(noopBox(c, filepath.Join(work, "synced"), controlClients, 0)),
		controlSlope(noopBox(c, filepath.Join(work, "slope"), controlClients, 0)),
		controlQueue(noopBox(c, filepath.Join(work, "queue"), 1, time.Hour)),
	}
}

// noopBox pretends to run jobs, so many at once, each for so long.
func noopBox(c config, dir string, slots int, run time.Duration) *box {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 2*controlClients
	return &box{config: c, dir: dir, starts: schemas.StartBooted, http: &http.Client{Transport: transport},
		flags: []string{"--isolation=noop", fmt.Sprint("--slots=", slots), fmt.Sprint("--noop-run=", run)}}
}

// controlLoad is submit → done by many clients, each with its next job at once;
// and then, at half of that rate, how long a submission takes.
func controlLoad(b *box) contestant {
	rows := append([]string{"control.submit_done_per_s", "control.submit_p50_ms", "control.submit_p99_ms", "control.cpu_ms"}, stageRows(controlPrefix)...)
	return contestant{rows: rows, turns: 5, setup: b.start, once: func(ctx context.Context) (sample, error) {
		cpu := cpuClock(b.cmd.Process.Pid)
		done, lives, err := b.load(ctx, controlPeriod)
		if err != nil {
			return sample{}, err
		}
		cpu = cpuClock(b.cmd.Process.Pid) - cpu
		rate := float64(done) / controlPeriod.Seconds()
		submits, err := b.openLoop(ctx, rate/2, controlPeriod)
		if err != nil {
			return sample{}, err
		}
		s := stagesOf(lives)
		s.values["control.submit_done_per_s"] = []float64{rate}
		s.values["control.submit_p50_ms"] = []float64{percentile(submits, 50)}
		s.values["control.submit_p99_ms"] = []float64{percentile(submits, 99)}
		s.values["control.cpu_ms"] = []float64{milliseconds(cpu) / float64(done)}
		return s, nil
	}}
}

// stagesOf are the medians of the jobs' spans.
func stagesOf(lives []life) sample {
	all := map[string][]float64{}
	for _, l := range lives {
		for row, values := range l.stages(controlPrefix).values {
			all[row] = append(all[row], values...)
		}
	}
	s := sample{values: map[string][]float64{}}
	for row, values := range all {
		s.values[row] = []float64{median(values)}
	}
	return s
}

// load has every client run one job after the other for so long. It returns how
// many came to their end in that time, and some of them.
func (b *box) load(ctx context.Context, long time.Duration) (done int64, lives []life, err error) {
	const sampled = 10 // every so many
	end := time.Now().Add(long)
	var n atomic.Int64
	err = b.clients(func(keep func(life)) error {
		for i := 0; time.Now().Before(end); i++ {
			var l life
			var err error
			if l.job, l.began, l.ended, err = b.run(ctx, noopSpec); err != nil {
				return err
			}
			if l.ended.Before(end) {
				n.Add(1)
			}
			if i%sampled == 0 {
				keep(l)
			}
		}
		return nil
	}, &lives)
	return n.Load(), lives, err
}

func (b *box) clients(client func(keep func(life)) error, lives *[]life) error {
	var mu sync.Mutex
	var group sync.WaitGroup
	errs := make([]error, controlClients)
	keep := func(l life) {
		mu.Lock()
		defer mu.Unlock()
		*lives = append(*lives, l)
	}
	for i := range controlClients {
		group.Go(func() { errs[i] = client(keep) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// openLoop submits at a rate, whatever the answers take, and returns how long each
// took from the moment in which it was due. It waits for the jobs' ends.
func (b *box) openLoop(ctx context.Context, rate float64, long time.Duration) (submits []float64, err error) {
	n := int(rate * long.Seconds())
	submits = make([]float64, n)
	errs := make([]error, n)
	var group sync.WaitGroup
	begin := time.Now()
	for i := range n {
		due := begin.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		time.Sleep(time.Until(due))
		group.Go(func() {
			job, err := b.client.Submit(ctx, noopSpec)
			submits[i] = milliseconds(time.Since(due))
			if err == nil {
				_, err = b.client.Wait(ctx, job.ID)
			}
			errs[i] = err
		})
	}
	group.Wait()
	return submits, errors.Join(errs...)
}

// percentile of at least one value.
func percentile(values []float64, p int) float64 {
	s := slices.Sorted(slices.Values(values))
	return s[min(len(s)-1, len(s)*p/100)]
}

// controlBatches is jobs that a second sees submitted in batches of the largest
// size, one after the other, to a system that has not begun to run them.
func controlBatches(b *box) contestant {
	const row, batches = "control.batch_per_s", 5
	return contestant{rows: []string{row}, turns: 5, setup: b.start, once: func(ctx context.Context) (sample, error) {
		begin := time.Now()
		for range batches {
			if _, err := b.client.SubmitBatch(ctx, batchOf(schemas.MaxBatchJobs), schemas.BatchAll); err != nil {
				return sample{}, err
			}
		}
		return took(row, batches*schemas.MaxBatchJobs/time.Since(begin).Seconds()), nil
	}}
}

// cacheHit is a job whose result is there, from submission to result, as users of
// the SDK have it.
func cacheHit(b *box) contestant {
	const row, hits = "cache.hit_p50_ms", 50
	spec := noopSpec
	spec.Cache = schemas.CacheUse
	return contestant{rows: []string{row}, setup: b.setup(spec), once: func(ctx context.Context) (sample, error) {
		var took []float64
		for range hits {
			job, began, ended, err := b.run(ctx, spec)
			if err != nil {
				return sample{}, err
			}
			if job.Cached == nil {
				return sample{}, fmt.Errorf("job %s has a result of its own", job.ID)
			}
			took = append(took, milliseconds(ended.Sub(began)))
		}
		return sample{values: map[string][]float64{row: {percentile(took, 50)}}}, nil
	}}
}

func batchOf(n int) []schemas.JobSpec { return slices.Repeat([]schemas.JobSpec{noopSpec}, n) }
