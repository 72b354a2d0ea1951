package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Submitted is what became of one job of a batch.
type Submitted struct {
	Record schemas.Record
	// Created is false if its idempotency key came before, in an earlier request or in
	// the batch itself.
	Created bool
	// Err is set for a job that cannot be taken: [ErrKeyReused], [ErrRecordTooLarge].
	Err error
}

const (
	// batchReads is how many records and specifications of a batch are read or stored at once.
	batchReads = 16
	// batchesAtOnce is less than the server takes at once from all gateways.
	batchesAtOnce = 8
)

// SubmitBatch submits 1 to [schemas.MaxBatchJobs] jobs of one tenant. Their records
// are created in one synced write, and its limits hold for all of them together: an error
// means that nothing was created. Jobs that cannot be taken are left out, or, with
// all, keep out all others: then nothing was created either, and no Created is set.
func (c *Coordinator) SubmitBatch(ctx context.Context, jobs []Submission, all bool) ([]Submitted, error) {
	select {
	case c.batches <- struct{}{}:
		defer func() { <-c.batches }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	b, err := c.newBatch(jobs)
	if err != nil {
		return nil, err
	}
	for begin := time.Now(); ; {
		err := b.findEarlier(ctx)
		if err == nil && !(all && b.refused()) {
			err = b.create(ctx)
		}
		if err == nil {
			return b.finish(), nil
		}
		if !errors.Is(err, jobqueue.ErrConflict) && !errors.Is(err, ErrRemoving) {
			return nil, err
		}
		c.metrics.conflicts.Inc() // a key came with another request in this moment, or its last job is being removed
		if time.Since(begin) > removePatience {
			return nil, fmt.Errorf("submit batch: %w", ErrRemoving)
		}
		if !pause(ctx, removePoll) {
			return nil, ctx.Err()
		}
	}
}

// batch is a batch on its way.
type batch struct {
	*Coordinator
	jobs    []Submission
	drafts  []draft
	answers []Submitted
	// wanted are the jobs that are yet to be created; repeats, of those that repeat
	// another one's key, which that is.
	wanted  []int
	repeats map[int]int
}

func (c *Coordinator) newBatch(jobs []Submission) (*batch, error) {
	if n := len(jobs); n == 0 || n > schemas.MaxBatchJobs {
		return nil, fmt.Errorf("submit batch of %d jobs: want 1 to %d", n, schemas.MaxBatchJobs)
	}
	b := &batch{Coordinator: c, jobs: jobs, drafts: make([]draft, len(jobs)), answers: make([]Submitted, len(jobs)), repeats: map[int]int{}}
	now, known := c.cfg.Now(), make(map[string]int, len(jobs))
	for i, s := range jobs {
		if s.Tenant != jobs[0].Tenant {
			return nil, errors.New("submit batch: jobs of several tenants")
		}
		d, err := newDraft(now, s)
		if err != nil && !errors.Is(err, ErrRecordTooLarge) {
			return nil, err
		}
		b.drafts[i], b.answers[i] = d, Submitted{Record: d.rec, Err: err}
		if earlier, ok := known[d.rec.ID]; ok {
			_, _, b.answers[i].Err = repeated(b.drafts[earlier].rec, d.rec, err)
			b.repeats[i] = earlier
			continue
		}
		if known[d.rec.ID] = i; err == nil {
			b.wanted = append(b.wanted, i)
		}
	}
	return b, nil
}

// findEarlier looks for the jobs that earlier requests made with the same keys.
func (b *batch) findEarlier(ctx context.Context) error {
	found := make([]bool, len(b.drafts))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(batchReads)
	for _, i := range b.wanted {
		if b.drafts[i].rec.IdempotencyKey == "" {
			continue
		}
		group.Go(func() (err error) {
			var first schemas.Record
			if first, found[i], err = b.earlier(ctx, &b.drafts[i]); found[i] {
				b.answers[i].Record, _, b.answers[i].Err = repeated(first, b.drafts[i].rec, nil)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	b.wanted = slices.DeleteFunc(b.wanted, func(i int) bool { return found[i] })
	return nil
}

// create writes the records of all jobs that are wanted, or none.
func (b *batch) create(ctx context.Context) error {
	if len(b.wanted) == 0 {
		return nil
	}
	begin := b.cfg.Now()
	var recs []schemas.Record
	for _, i := range b.wanted {
		recs = append(recs, b.drafts[i].rec)
	}
	if err := b.admit(recs...); err != nil {
		return err
	}
	if err := b.storeSpecs(ctx); err != nil {
		return err
	}
	if err := b.joinAll(ctx); err != nil {
		return err
	}
	var entries []jobqueue.Entry
	for _, i := range b.wanted {
		d := &b.drafts[i]
		if d.unlooked() {
			return jobqueue.ErrConflict
		}
		entries = append(entries, jobqueue.Entry{Key: schemas.RecordKey(d.rec.Tenant, d.rec.ID), Value: d.data, Revision: d.over})
	}
	ctx, cancel := context.WithTimeout(ctx, keyPublish)
	defer cancel()
	first, err := b.queue.Jobs.UpdateAll(ctx, entries)
	if err != nil {
		return err
	}
	for n, i := range b.wanted {
		recs[n] = b.drafts[i].rec
		b.answers[i].Created, b.answers[i].Record = true, recs[n]
	}
	b.created(first, recs...)
	b.metrics.submitted.Add(float64(len(recs)))
	b.metrics.submit.Observe(b.cfg.Now().Sub(begin).Seconds())
	return nil
}

// joinAll has jobs share results with earlier ones, and with each other. A job
// leads others before its record is there, which may then conflict: so each is
// looked at once.
func (b *batch) joinAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(batchReads)
	for _, i := range b.wanted {
		if d := &b.drafts[i]; d.rec.CacheKey == "" && d.rec.Source == nil {
			group.Go(func() error { return b.join(ctx, d, b.jobs[i]) })
		}
	}
	return group.Wait()
}

func (b *batch) storeSpecs(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(batchReads)
	for _, i := range b.wanted {
		if b.drafts[i].spec != nil {
			group.Go(func() error { return b.storeSpec(ctx, b.drafts[i]) })
		}
	}
	return group.Wait()
}

func (b *batch) refused() bool {
	return slices.ContainsFunc(b.answers, func(s Submitted) bool { return s.Err != nil })
}

// finish gives the jobs that repeat another one's key what became of that.
func (b *batch) finish() []Submitted {
	for i, earlier := range b.repeats {
		if a := &b.answers[i]; a.Err == nil {
			a.Record, a.Err = b.answers[earlier].Record, b.answers[earlier].Err
		}
	}
	return b.answers
}
