package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/program-explorer/pe/schemas"
)

// EventQuery says which of a tenant's jobs are followed, and from where.
type EventQuery struct {
	Filter
	// After is the revision after which to begin; with Now, that of this moment.
	After uint64
	Now   bool
	// Outputs asks for stdout and stderr of running jobs, too.
	Outputs bool
}

// JobUpdate is something new about one of a tenant's jobs: its record as an
// event, a piece of output, or that the rest of it is lost. All nil only say how
// far all has been told.
type JobUpdate struct {
	// Revision up to which everything has been told; it never falls.
	Revision uint64
	Job      *schemas.JobChange
	// Stream (stdout or stderr) comes with Text.
	Stream string
	Text   *schemas.JobText
	Lost   *schemas.JobOutputLost
}

// ErrRevision: a stream was to begin after a revision that was never written.
var ErrRevision = errors.New("no change of a job has had this number yet")

const (
	// eventsAtOnce bounds what is taken from the log at once, and what is read
	// of the bucket for who is behind it.
	eventsAtOnce = 64
	eventReads   = 16
	// behindAtOnce is how many changes a reader that is behind has ahead of it in memory.
	behindAtOnce = 8192
	// catchUpsAtOnce is how many readers that are behind may ask the bucket at once,
	// each of another tenant.
	catchUpsAtOnce = 4
)

// Events tells of all jobs of a tenant that the filter selects: of each change
// since the revision, in their order, each once, until ctx ends; then the channel
// is closed. Who reads slowly, or comes back late, misses states that were over
// before they could be told, never the last one; nobody waits for them. The first
// update only has the revision with which the stream begins.
func (c *Coordinator) Events(ctx context.Context, tenant string, q EventQuery) (<-chan JobUpdate, error) {
	if !c.state.isLoaded() {
		return nil, ErrLoading
	}
	r := &eventReader{c: c, tenant: tenant, filter: q.Filter, at: q.After, out: make(chan JobUpdate, 8)}
	if q.Now {
		r.at = c.changes.newest()
	} else if err := c.written(ctx, q.After); err != nil {
		return nil, err
	}
	woken, stop := c.changes.read(tenant)
	r.woken = woken.woken
	c.background.Go(func() {
		ctx, cancel := c.whileRunning(ctx)
		defer cancel()
		defer close(r.out)
		defer stop()
		if q.Outputs {
			r.outputs = newOutputs(r)
			defer r.outputs.wait()
			defer cancel()
		}
		r.run(ctx)
	})
	return r.out, nil
}

// written checks that a revision is one of this bucket: of another one, or of
// one that was lost, nothing would be told until it has grown as large.
func (c *Coordinator) written(ctx context.Context, rev uint64) error {
	if rev <= c.changes.newest() {
		return nil
	}
	last, err := c.queue.Jobs.LastRevision(ctx)
	if err == nil && rev > last {
		err = fmt.Errorf("%w: %d, the last is %d", ErrRevision, rev, last)
	}
	return err
}

type eventReader struct {
	c       *Coordinator
	tenant  string
	filter  Filter
	at      uint64
	woken   <-chan struct{}
	out     chan JobUpdate
	outputs *outputs
	// covered is what was read of the index last.
	covered covered
}

// covered is what has been told from the index: revisions after one and up to
// another, as far as they were in pages up to one.
type covered struct{ after, upTo, page uint64 }

func (c covered) has(late change) bool {
	return c.after < late.rev && late.rev <= c.upTo && late.page <= c.page
}

func (r *eventReader) run(ctx context.Context) {
	r.send(ctx, JobUpdate{Revision: r.at})
	r.outputs.begin(ctx)
	_, late := r.c.changes.lateAfter(r.tenant, 0)
	for ctx.Err() == nil {
		late = r.tellLate(ctx, late)
		changes, upTo, known := r.c.changes.after(r.tenant, r.at, eventsAtOnce)
		if !known {
			if err := r.catchUp(ctx); err != nil && ctx.Err() == nil {
				r.c.log.Warn("stream of events ends", "tenant", r.tenant, "err", err)
				return // its reader comes back
			}
			continue
		}
		for _, change := range changes {
			r.tell(ctx, change.rev, change.event)
		}
		r.pass(ctx, upTo)
		if len(changes) < eventsAtOnce {
			select {
			case <-r.woken:
			case <-ctx.Done():
			}
		}
	}
}

// tellLate tells of changes that came late, after the first so many, if it is past them.
func (r *eventReader) tellLate(ctx context.Context, n int) (all int) {
	missed, all := r.c.changes.lateAfter(r.tenant, n)
	for _, c := range missed {
		if c.rev <= r.at && !r.covered.has(c) && has(r.filter, c.event.State, c.event.Labels) {
			r.send(ctx, JobUpdate{Revision: r.at, Job: &c.event})
		}
	}
	return all
}

func (r *eventReader) send(ctx context.Context, u JobUpdate) {
	select {
	case r.out <- u:
	case <-ctx.Done():
	}
}

// tell sends an event if the filter selects it.
func (r *eventReader) tell(ctx context.Context, rev uint64, e schemas.JobChange) {
	if ctx.Err() != nil || !has(r.filter, e.State, e.Labels) {
		return
	}
	r.at = rev
	r.send(ctx, JobUpdate{Revision: rev, Job: &e})
	r.outputs.of(ctx, e)
}

// pass takes note that all up to a revision was told.
func (r *eventReader) pass(ctx context.Context, upTo uint64) {
	if ctx.Err() != nil || upTo <= r.at {
		return
	}
	r.at = upTo
	r.send(ctx, JobUpdate{Revision: upTo})
}

// catchUp tells from the index, the bucket and history what the log has forgotten: the
// newest record of each job whose revision is not beyond the log's. What
// changes meanwhile has a later revision, and comes from the log.
func (r *eventReader) catchUp(ctx context.Context) error {
	upTo := r.c.changes.newest()
	if err := r.c.history.CatchUp(ctx); err != nil {
		return err
	}
	r.covered = covered{after: r.at, upTo: upTo, page: r.c.history.Seen()}
	for more := true; more; {
		page, err := r.behind(ctx, upTo)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(page, eventsAtOnce) {
			if err := r.tellAll(ctx, some); err != nil {
				return err
			}
		}
		if more = len(page) == behindAtOnce; !more {
			r.pass(ctx, upTo)
		}
	}
	return ctx.Err()
}

// tellAll reads jobs and tells of them. It has its turn while it reads: who takes
// slowly what is told keeps nobody waiting.
func (r *eventReader) tellAll(ctx context.Context, jobs []touched) error {
	done, err := r.c.catchUps.Take(ctx, r.tenant)
	if err != nil {
		return err
	}
	events, err := r.read(ctx, jobs)
	done()
	if err != nil {
		return err
	}
	for i, e := range events {
		if e != nil {
			r.tell(ctx, jobs[i].rev, *e)
		}
	}
	r.pass(ctx, jobs[len(jobs)-1].rev)
	return nil
}
