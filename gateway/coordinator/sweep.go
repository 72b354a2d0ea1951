package coordinator

import (
	"context"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// ended does what follows from the end of a job, once it is written.
func (c *Coordinator) ended(rec schemas.Record) {
	if !rec.State.Terminal() {
		return
	}
	c.keepResult(rec)
	c.metrics.total.Observe((time.Duration(rec.EndedUS-rec.CreatedUS) * time.Microsecond).Seconds())
	for _, a := range rec.Attempts {
		if !won(rec, a.N) {
			c.sweep(rec, a.N)
		}
	}
}

// won reports whether the record's result is that of the attempt.
func won(rec schemas.Record, attempt int) bool {
	return attempt > 0 && rec.Accepted() == attempt
}

// sweep deletes what an attempt that did not win has stored. Only a terminal
// record says who did not win.
func (c *Coordinator) sweep(rec schemas.Record, attempt int) {
	c.later(func(ctx context.Context) {
		for _, name := range schemas.AttemptObjects {
			if err := c.store.Delete(ctx, schemas.AttemptKey(rec.Tenant, rec.ID, attempt, name)); err != nil {
				c.log.Warn("object of a lost attempt stays", "job", rec.ID, "attempt", attempt, "object", name, "err", err)
			}
		}
	})
}

// sweepLate deletes what an attempt stored that reported after the job's end.
func (c *Coordinator) sweepLate(rec schemas.Record, name jobqueue.EventName, e schemas.Event) {
	if !rec.State.Terminal() || won(rec, name.Attempt) || e.Outcome == nil {
		return
	}
	for _, a := range rec.Attempts {
		if a.N == name.Attempt && a.Executor == name.Executor {
			c.sweep(rec, a.N)
		}
	}
}
