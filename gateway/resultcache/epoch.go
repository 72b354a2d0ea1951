package resultcache

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// An epoch is when a tenant's cache was last cleared, in microseconds since the
// Unix epoch; 0 if it never was. It does not age as results do: a job may have
// been submitted before and end long after, and its result would come back.

func (c *Cache) epoch(ctx context.Context, tenant string) (epoch int64, revision uint64, err error) {
	e, err := c.bucket.Get(ctx, schemas.CacheEpochKey(tenant))
	if errors.Is(err, jobqueue.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	if epoch, err = decodeEpoch(e.Value); err != nil {
		return 0, 0, fmt.Errorf("epoch of tenant %s: %w", tenant, err)
	}
	return epoch, e.Revision, nil
}

func decodeEpoch(data []byte) (int64, error) {
	epoch, err := strconv.ParseUint(string(data), 10, 63)
	if err != nil || strconv.FormatUint(epoch, 10) != string(data) {
		return 0, fmt.Errorf("%.40q is no epoch", data)
	}
	return int64(epoch), nil
}

// Clear forgets all results of a tenant at once: entries that are written later
// for jobs that were submitted before count for none.
func (c *Cache) Clear(ctx context.Context, tenant string) error {
	for {
		old, revision, err := c.epoch(ctx, tenant)
		if err != nil {
			return err
		}
		// It rises, whatever the clocks of the gateways say.
		next := max(c.now().UnixMicro(), old+1)
		_, err = c.bucket.UpdateForever(ctx, schemas.CacheEpochKey(tenant), strconv.AppendInt(nil, next, 10), revision)
		switch {
		case errors.Is(err, jobqueue.ErrConflict):
			continue // somebody cleared it in this moment: once more does no harm
		case err != nil:
			return err
		}
		// What is left of before is only room; it goes with its age, too.
		err = c.bucket.RemoveBelow(ctx, prefix(tenant, old))
		c.counts.forget(tenant)
		return err
	}
}

// Size is how many entries a tenant has, and when its cache was last cleared, in
// microseconds since the Unix epoch, or 0.
func (c *Cache) Size(ctx context.Context, tenant string) (entries, clearedUS int64, err error) {
	epoch, _, err := c.epoch(ctx, tenant)
	if err != nil {
		return 0, 0, err
	}
	entries, err = c.bucket.CountBelow(ctx, prefix(tenant, epoch))
	return entries, epoch, err
}

func prefix(tenant string, epoch int64) string { return tenant + "." + strconv.FormatInt(epoch, 10) }
