package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/jobqueue"
)

const (
	// expireEvery is how often a gateway looks for what has expired.
	expireEvery = time.Minute
	// firstSweep is how long after its start a gateway looks whether a sweep is due.
	firstSweep = time.Minute
	// dueAtOnce bounds what one look takes on, expiresAtOnce how much of it at the same time.
	dueAtOnce     = 1000
	expiresAtOnce = 4
	// pagesAtOnce bounds what one look takes on in history, of maxPages that are due.
	pagesAtOnce = 50
	maxPages    = 10_000
)

// Run expires and sweeps until ctx ends. Every gateway does: expiring is
// idempotent, and sweeps take turns.
func (s *Sweeper) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.stored.watch(ctx) })
	group.Go(func() error { s.expireEvery(ctx); return nil })
	group.Go(func() error { s.sweepEvery(ctx); return nil })
	return group.Wait()
}

func (s *Sweeper) expireEvery(ctx context.Context) {
	for pause(ctx, jitter(expireEvery)) {
		if n, err := s.Expire(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("not everything expired yet", "expired", n, "err", err)
		} else if n > 0 {
			s.log.Info("expired", "jobs", n)
		}
	}
}

// Expire marks the jobs whose outputs have expired, and removes those whose
// records have, at most 1,000 in one call; it returns how many. A job that cannot be
// changed keeps no other from expiring; the error is that of one such job.
func (s *Sweeper) Expire(ctx context.Context) (int, error) {
	cut := func() coordinator.Cutoffs {
		now := s.now()
		return coordinator.Cutoffs{
			Outputs: ago(now, s.policy.Outputs), Records: ago(now, s.policy.Records), Purged: now.Add(-s.grace),
			Surplus: s.jobs.Surplus(s.policy.Jobs),
		}
	}
	if len(s.jobs.Due(cut(), 1)) == 0 && len(s.jobs.DuePages(cut(), 1)) == 0 {
		return 0, nil
	}
	// Who shares a result must be known before it expires.
	if err := s.jobs.CatchUp(ctx); err != nil {
		return 0, err
	}
	due := s.jobs.Due(cut(), dueAtOnce)
	var group errgroup.Group
	group.SetLimit(expiresAtOnce)
	var expired atomic.Int64
	for _, d := range due {
		group.Go(func() error {
			if err := s.expire(ctx, d); err != nil {
				return fmt.Errorf("expire job %s: %w", d.Job, err)
			}
			expired.Add(1)
			return nil
		})
	}
	err := group.Wait()
	pages, pagesErr := s.expirePages(ctx, cut)
	return int(expired.Load()) + pages, errors.Join(err, pagesErr)
}

// expirePages expires what is due in history.
func (s *Sweeper) expirePages(ctx context.Context, cut func() coordinator.Cutoffs) (jobs int, err error) {
	for _, due := range s.spared.others(s.jobs.DuePages(cut(), maxPages), s.now(), pagesAtOnce) {
		outputs, records, pageErr := s.jobs.ExpirePage(ctx, due, cut())
		if pageErr == nil && outputs+records == 0 {
			s.spared.add(due, s.now())
		}
		s.metrics.expired.WithLabelValues("outputs").Add(float64(outputs))
		s.metrics.expired.WithLabelValues("record").Add(float64(records))
		jobs += outputs + records
		err = errors.Join(err, pageErr)
	}
	return jobs, err
}

func (s *Sweeper) expire(ctx context.Context, d coordinator.Due) error {
	what, end := "outputs", s.jobs.Purge
	if d.Record {
		what, end = "record", s.jobs.Remove
	}
	if err := end(ctx, d.Tenant, d.Job); err != nil {
		return err
	}
	s.metrics.expired.WithLabelValues(what).Inc()
	return nil
}

func (s *Sweeper) sweepEvery(ctx context.Context) {
	for wait := firstSweep; pause(ctx, jitter(wait)); wait = s.every {
		if due, err := s.sweepDue(ctx); err != nil || !due {
			continue
		}
		report, err := s.Sweep(ctx, Options{Grace: s.grace, Gentle: true})
		switch {
		case ctx.Err() != nil || errors.Is(err, ErrSweeping):
		case err != nil:
			s.metrics.sweeps.WithLabelValues("failed").Inc()
			s.log.Warn("sweep broken off", "err", err)
		default:
			s.metrics.sweeps.WithLabelValues("done").Inc()
			total := report.Total()
			s.log.Info("swept", "listed", report.Listed.Objects, "deleted", total.Objects, "bytes", total.Bytes,
				"failed", report.Failed, "took", time.Duration(report.EndedUS-report.StartedUS)*time.Microsecond)
		}
	}
}

// sweptKey holds when the last sweep that deleted began and ended.
const sweptKey = "swept"

type swept struct {
	StartedUS int64 `json:"started_us"`
	EndedUS   int64 `json:"ended_us"`
}

// sweepDue reports whether no gateway has swept for most of an interval.
func (s *Sweeper) sweepDue(ctx context.Context) (bool, error) {
	e, err := s.bucket.Get(ctx, sweptKey)
	if errors.Is(err, jobqueue.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	var last swept
	if err := json.Unmarshal(e.Value, &last); err != nil {
		return true, nil // the next one puts it right
	}
	return s.now().Sub(time.UnixMicro(last.EndedUS)) > s.every*8/10, nil
}
