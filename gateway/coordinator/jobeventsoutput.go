package coordinator

import (
	"context"
	"sync"

	"github.com/program-explorer/pe/schemas"
)

// MaxOutputs is of how many running jobs at once a stream of events tells the output.
const MaxOutputs = 16

// outputs passes on what the running jobs of an eventReader write. Its methods
// do nothing if it is nil.
type outputs struct {
	reader  *eventReader
	mu      sync.Mutex
	told    map[string]bool
	running sync.WaitGroup
}

func newOutputs(r *eventReader) *outputs { return &outputs{reader: r, told: map[string]bool{}} }

// begin follows jobs that run already.
func (o *outputs) begin(ctx context.Context) {
	if o == nil {
		return
	}
	running := Filter{States: []schemas.State{schemas.StateRunning}, Labels: o.reader.filter.Labels}
	from := newest
	for left := MaxOutputs; left > 0 && ctx.Err() == nil; {
		found := o.reader.c.state.older(o.reader.tenant, running, from, left)
		for _, job := range found.jobs {
			o.follow(ctx, job.ID)
		}
		if left, from = left-len(found.jobs), found.end; found.done {
			return
		}
	}
}

// of follows a job if the event says that it runs.
func (o *outputs) of(ctx context.Context, e schemas.JobChange) {
	if o != nil && e.State == schemas.StateRunning {
		o.follow(ctx, e.Job)
	}
}

func (o *outputs) follow(ctx context.Context, job string) {
	if !o.take(job) {
		return
	}
	updates, err := o.reader.c.Follow(ctx, o.reader.tenant, job, Offsets{})
	if err != nil {
		o.give(job)
		o.reader.c.log.Debug("output not followed", "job", job, "err", err)
		return
	}
	o.running.Go(func() {
		defer o.give(job)
		attempt := 0
		for u := range updates {
			switch {
			case u.Record != nil:
				_, attempt = u.Record.Produced()
			case u.Chunk != nil:
				o.reader.send(ctx, JobUpdate{Stream: u.Stream, Text: &schemas.JobText{
					Job: job, Attempt: u.Attempt, StreamText: schemas.NewStreamText(u.Chunk.Offset, u.Chunk.Data),
				}})
			case u.End != nil && u.End.Lost:
				o.reader.send(ctx, JobUpdate{Lost: &schemas.JobOutputLost{Job: job, Attempt: attempt}})
			}
		}
	})
}

func (o *outputs) take(job string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.told[job] || len(o.told) >= MaxOutputs {
		return false
	}
	o.told[job] = true
	return true
}

func (o *outputs) give(job string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.told, job)
}

// wait returns when nobody sends any more.
func (o *outputs) wait() { o.running.Wait() }
