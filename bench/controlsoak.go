package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// statusField is a number of /proc/PID/status; 0 if it is not there.
func statusField(pid int, name string) int {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(text, []byte("\n"+name))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, err := strconv.Atoi(string(fields[0]))
	if err != nil {
		return 0
	}
	return n
}

// slopeRate is how many jobs a second come while the slope is measured: fewer than there
// could be, so that there are as many at the end as in the beginning. What is under way
// takes memory, too, and a disk that becomes faster would have more of it under way.
const slopeRate = 400

// controlSlope is how much ped up grows with each 10,000 jobs that came to their end.
// Its memory goes up and down by tens of mebibytes with every collection of garbage:
// so what counts is the median over each 10,000, and these are many. The first fill
// pools and buffers, and do not count.
func controlSlope(b *box) contestant {
	const row, each, warm, steps = "control.rss_slope", 10_000, 2, 20
	return contestant{rows: []string{row}, turns: 1, asked: true, setup: b.start, once: func(ctx context.Context) (sample, error) {
		var sizes, rates []float64
		for step := range warm + steps {
			progress("%s: %d of %d jobs", row, step*each, (warm+steps)*each)
			begin := time.Now()
			size, err := b.sizeDuring(func() error { return b.paced(ctx, each, slopeRate) })
			if err != nil {
				return sample{}, err
			}
			sizes, rates = append(sizes, size), append(rates, each/time.Since(begin).Seconds())
		}
		s := took(row, slope(sizes[warm:]))
		s.facts = map[string]string{
			"control plane's memory, MiB, by 10,000 jobs": fmt.Sprintf("%.0f", sizes),
			"jobs per second, by 10,000 jobs":             fmt.Sprintf("%.0f", rates),
		}
		return s, nil
	}}
}

// sizeDuring is the median of ped's memory while f runs, in MiB.
func (b *box) sizeDuring(f func() error) (float64, error) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	var sizes []float64
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		sizes = append(sizes, float64(statusField(b.cmd.Process.Pid, "VmRSS:"))/1024)
		select {
		case err := <-done:
			tick.Stop()
			return percentile(sizes, 50), err
		case <-tick.C:
		}
	}
}

// slope is the least squares' of values at 0, 1, 2…
func slope(values []float64) float64 {
	n := float64(len(values))
	var sx, sy, sxx, sxy float64
	for i, y := range values {
		x := float64(i)
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

// The queue of the soak: as many as a tenant may have, with room for what is measured.
const (
	queueJobs    = 99_000
	queueSamples = 300
)

var queueRows = []string{
	"control.queue_100k_submit", "control.queue_100k_status", "control.queue_100k_list", "control.queue_100k_cancel",
	"control.queue_100k_restart_s", "control.queue_100k_mib",
}

// controlQueue is what requests take while 100,000 jobs wait, and a restart with them.
func controlQueue(b *box) contestant {
	return contestant{rows: queueRows, turns: 1, asked: true, setup: b.start, once: func(ctx context.Context) (sample, error) {
		for n := 0; n < queueJobs; n += schemas.MaxBatchJobs {
			progress("control.queue_100k: %d of %d jobs", n, queueJobs)
			if _, err := b.client.SubmitBatch(ctx, batchOf(schemas.MaxBatchJobs), schemas.BatchAll); err != nil {
				return sample{}, err
			}
		}
		s, err := b.requests(ctx)
		if err != nil {
			return s, err
		}
		s.values["control.queue_100k_mib"] = []float64{float64(statusField(b.cmd.Process.Pid, "VmRSS:")) / 1024}
		if err := b.stop(); err != nil {
			return s, err
		}
		begin := time.Now()
		b.client = nil
		if _, err = b.start(ctx); err == nil {
			err = b.onePage(ctx) // which needs every job to have been read
		}
		s.values["control.queue_100k_restart_s"] = []float64{time.Since(begin).Seconds()}
		return s, err
	}}
}

// requests times each kind, one after the other, and takes the slowest in a hundred.
func (b *box) requests(ctx context.Context) (sample, error) {
	took := map[string][]float64{}
	measure := func(row string, f func() error) error {
		begin := time.Now()
		err := f()
		took[row] = append(took[row], milliseconds(time.Since(begin)))
		return err
	}
	for range queueSamples {
		var job schemas.Job
		for _, step := range []struct {
			row string
			do  func() error
		}{
			{queueRows[0], func() (err error) { job, err = b.client.Submit(ctx, noopSpec); return err }},
			{queueRows[1], func() error { _, err := b.client.Job(ctx, job.ID); return err }},
			{queueRows[2], func() error { return b.onePage(ctx) }},
			{queueRows[3], func() error { _, err := b.client.Cancel(ctx, job.ID); return err }},
		} {
			if err := measure(step.row, step.do); err != nil {
				return sample{}, err
			}
		}
	}
	s := sample{values: map[string][]float64{}}
	for row, values := range took {
		s.values[row] = []float64{percentile(values, 99)}
	}
	return s, nil
}

func (b *box) onePage(ctx context.Context) error {
	const page = 50
	n := 0
	for _, err := range b.client.List(ctx, producer.Filter{States: []schemas.State{schemas.StateQueued}, PageSize: page}) {
		if n++; err != nil || n == page {
			return err
		}
	}
	return fmt.Errorf("a page of %d jobs, want %d", n, page)
}
