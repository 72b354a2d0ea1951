package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/program-explorer/pe/gateway/resultcache"
	"github.com/program-explorer/pe/schemas"
)

// What became of a submission that asked the cache.
const (
	cacheHit    = "hit"    // it has an earlier job's result
	cacheShared = "shared" // it waits for one that runs
	cacheMiss   = "miss"
)

// Cached answers a submission with an earlier job's result, if there is one: the
// job is made, and has ended; one synced write. Its inputs need not be there. It
// reports whether it did; of an idempotency key that came before, the first job
// is returned.
func (c *Coordinator) Cached(ctx context.Context, s Submission) (rec schemas.Record, ok bool, err error) {
	// The earlier job's outputs may expire meanwhile: they are kept until then.
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	d, err := newDraft(c.cfg.Now(), s)
	if err != nil {
		return d.rec, false, err
	}
	if d.rec.IdempotencyKey != "" {
		first, found, err := c.earlier(ctx, &d)
		if found || err != nil && !errors.Is(err, ErrRemoving) {
			rec, _, err = repeated(first, d.rec, err)
			return rec, err == nil, err
		}
	}
	if shared, err := c.shareEarlier(ctx, &d, s); err != nil || !shared {
		return d.rec, false, err
	}
	if err := c.storeSpec(ctx, d); err != nil {
		return d.rec, false, err
	}
	rec, created, err := c.create(ctx, d)
	if created {
		c.metrics.cache.WithLabelValues(cacheHit).Inc()
	}
	return rec, err == nil, err
}

// shareEarlier ends a job with the result that the cache has for it, if it has one.
func (c *Coordinator) shareEarlier(ctx context.Context, d *draft, s Submission) (bool, error) {
	if err := c.nameResult(ctx, &d.rec, s); err != nil || d.rec.CacheKey == "" {
		return false, err
	}
	origin, err := c.origin(ctx, &d.rec)
	if err != nil {
		return false, c.unasked(ctx, &d.rec, err)
	}
	if origin == nil || !c.rules.share(&d.rec, origin, c.cfg.Now()) {
		return false, nil
	}
	d.data, err = encodeRecord(d.rec)
	return err == nil, err
}

// nameResult sets what the job's result may be kept under: nothing if the cache cannot say.
func (c *Coordinator) nameResult(ctx context.Context, rec *schemas.Record, s Submission) error {
	hash, err := s.Spec.CacheHash(s.Image, s.Prepared)
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	key, err := c.results.Key(ctx, rec.Tenant, hash)
	switch {
	case err == nil:
		rec.CacheKey, rec.CacheFailures = key, s.Spec.CacheFailures
		return nil
	case s.Spec.Cache == schemas.CacheUse:
		return c.unasked(ctx, rec, err)
	}
	return err // the earlier result, which was to be replaced, would be given on
}

// unasked goes on without the cache after err, unless ctx has ended: only time is lost.
func (c *Coordinator) unasked(ctx context.Context, rec *schemas.Record, err error) error {
	if ctx.Err() != nil {
		return err
	}
	c.metrics.unasked.Inc()
	c.log.Warn("result cache not asked", "tenant", rec.Tenant, "job", rec.ID, "err", err)
	return nil
}

// withoutEntry has a job run as if it asked no cache: the tenant has too many entries.
func (c *Coordinator) withoutEntry(rec *schemas.Record) {
	rec.CacheKey = ""
	c.metrics.cacheFull.Inc()
}

// origin is the job with the result that rec's entry names, or nil if there is
// none that rec may have. A job that still ran when the entry was written may
// have ended: then only its entry is late.
func (c *Coordinator) origin(ctx context.Context, rec *schemas.Record) (*schemas.Record, error) {
	entry, err := c.results.Look(ctx, rec.Tenant, rec.CacheKey)
	if err != nil || entry.Job == "" {
		return nil, err
	}
	found, _, err := c.read(ctx, rec.Tenant, entry.Job)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil || !shares(&found, rec.CacheKey, rec.CacheFailures) {
		return nil, err
	}
	if there, err := c.resultThere(ctx, &found); err != nil || !there {
		return nil, err
	}
	return &found, nil
}

// join says how a new job comes to its result: it has an earlier one, or it
// waits for the same job that came before, or it is run, and others wait for it.
func (c *Coordinator) join(ctx context.Context, d *draft, s Submission) (err error) {
	if s.Spec.Cache != schemas.CacheUse && s.Spec.Cache != schemas.CacheRefresh {
		return nil
	}
	err = c.nameResult(ctx, &d.rec, s)
	switch {
	case err != nil:
	case s.Spec.Cache == schemas.CacheUse:
		err = c.joinAny(ctx, &d.rec)
	default:
		if err = c.results.Admit(ctx, d.rec.Tenant, d.rec.CacheKey); errors.Is(err, resultcache.ErrFull) {
			c.withoutEntry(&d.rec)
			err = nil
		}
	}
	if err == nil {
		d.data, err = encodeRecord(d.rec)
	}
	return err
}

func (c *Coordinator) joinAny(ctx context.Context, rec *schemas.Record) error {
	outcome := cacheMiss
	for range maxTries {
		var err error
		if outcome, err = c.joinOnce(ctx, rec); err == nil {
			break
		}
		if errors.Is(err, resultcache.ErrTaken) {
			continue
		}
		if errors.Is(err, resultcache.ErrFull) {
			c.withoutEntry(rec)
			break
		}
		if err = c.unasked(ctx, rec, err); err != nil {
			return err
		}
		break
	} // else it is run, and nobody waits for it
	c.metrics.cache.WithLabelValues(outcome).Inc()
	return nil
}

func (c *Coordinator) joinOnce(ctx context.Context, rec *schemas.Record) (string, error) {
	if rec.CacheKey == "" {
		return cacheMiss, nil
	}
	entry, err := c.results.Look(ctx, rec.Tenant, rec.CacheKey)
	if err != nil {
		return cacheMiss, err
	}
	outcome, err := c.joinJob(ctx, rec, entry)
	if err == nil && outcome == cacheMiss {
		err = c.results.Lead(ctx, rec.Tenant, rec.CacheKey, rec.ID, entry)
	}
	return outcome, err
}

// joinJob has rec share with the job that an entry names, if it may.
func (c *Coordinator) joinJob(ctx context.Context, rec *schemas.Record, entry resultcache.Entry) (string, error) {
	if entry.Job == "" || entry.Job == rec.ID {
		return cacheMiss, nil
	}
	other, _, err := c.read(ctx, rec.Tenant, entry.Job)
	now, there := c.cfg.Now(), false
	if err == nil && shares(&other, rec.CacheKey, rec.CacheFailures) {
		there, err = c.resultThere(ctx, &other)
	}
	switch {
	case isNotFound(err):
		// Its record is written right after the entry.
		if now.Sub(time.UnixMicro(entry.WrittenUS)) > c.cfg.Lease || entry.Attempt > 0 {
			return cacheMiss, nil
		}
		rec.Follows = entry.Job
	case err != nil:
		return cacheMiss, err
	case there && c.rules.share(rec, &other, now):
		return cacheHit, nil
	case leads(&other, rec):
		rec.Follows = other.ID
	default:
		return cacheMiss, nil
	}
	return cacheShared, nil
}

// trusts reports whether an executor's results may be given to others: whoever
// owns an executor can make it say anything.
func (c *Coordinator) trusts(ctx context.Context, executor, tenant string) bool {
	facts, known, err := c.known(ctx, executor)
	return err == nil && known && (facts.Owner == "" || facts.Owner == tenant)
}

// keepResult writes down that a job has a result which may be given again. If that is
// never written, only time is lost.
func (c *Coordinator) keepResult(rec schemas.Record) {
	if !shares(&rec, rec.CacheKey, true) || rec.CacheKey == "" {
		return
	}
	_, attempt := rec.Produced()
	c.later(func(ctx context.Context) {
		if err := c.results.Keep(ctx, rec.Tenant, rec.CacheKey, rec.ID, attempt); err != nil {
			c.log.Warn("result not kept for others", "job", rec.ID, "err", err)
			return
		}
		c.metrics.kept.Inc()
	})
}

// CacheInfo says what a tenant's cache holds, and how much it was of use.
func (c *Coordinator) CacheInfo(ctx context.Context, tenant string) (info schemas.CacheInfo, err error) {
	info.Entries, info.ClearedUS, err = c.results.Size(ctx, tenant)
	_, past := c.history.Counts(tenant)
	info.Hits = c.state.hits(tenant) + past
	return info, err
}

// ClearCache forgets all results of a tenant: jobs that are submitted from now
// on are run, whatever runs or ended before.
func (c *Coordinator) ClearCache(ctx context.Context, tenant string) error {
	return c.results.Clear(ctx, tenant)
}
