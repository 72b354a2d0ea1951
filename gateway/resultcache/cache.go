package resultcache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Cache of results. Its methods are safe for concurrent use, by any number of gateways.
type Cache struct {
	bucket *jobqueue.Bucket
	now    func() time.Time
	counts counts
}

// New returns the cache in a bucket, in which a tenant may have so many entries;
// default [MaxEntries].
func New(bucket *jobqueue.Bucket, most int64, now func() time.Time) *Cache {
	if most <= 0 {
		most = MaxEntries
	}
	return &Cache{bucket: bucket, now: now, counts: counts{most: most, tenants: map[string]*count{}}}
}

// Entry says who has a result. The zero value is no entry.
type Entry struct {
	// Job has the result, or runs for it.
	Job string `json:"job"`
	// Attempt that produced it, from 1; 0 while the job runs for it.
	Attempt int `json:"attempt,omitempty"`
	// WrittenUS is in microseconds since the Unix epoch, by the clock of who wrote it.
	WrittenUS int64 `json:"written_us"`
	// Revision of the entry, for [Cache.Lead].
	Revision uint64 `json:"-"`
}

// Key is what a result with this hash is kept under now: see [schemas.Record.CacheKey].
func (c *Cache) Key(ctx context.Context, tenant, hash string) (string, error) {
	epoch, _, err := c.epoch(ctx, tenant)
	return schemas.NewCacheKey(epoch, hash), err
}

// Look reads the entry under a key, or none.
func (c *Cache) Look(ctx context.Context, tenant, key string) (Entry, error) {
	found, err := c.bucket.Get(ctx, schemas.CacheEntryKey(tenant, key))
	if errors.Is(err, jobqueue.ErrNotFound) {
		return Entry{}, nil
	}
	if err != nil {
		return Entry{}, err
	}
	// One that cannot be read is overwritten: it keeps its revision alone.
	e, _ := decodeEntry(found.Value)
	e.Revision = found.Revision
	return e, nil
}

// ErrTaken: somebody else wrote the entry in the meantime.
var ErrTaken = errors.New("the entry is another job's")

// Lead says that a job runs for the result, in place of the entry that was
// looked at; [ErrTaken] if it is not there any more as it was, [ErrFull] if it
// would be one too many.
func (c *Cache) Lead(ctx context.Context, tenant, key, job string, before Entry) error {
	data, err := c.encode(Entry{Job: job})
	if err != nil {
		return err
	}
	if before.Revision == 0 {
		if err := c.add(ctx, tenant); err != nil {
			return err
		}
	}
	_, err = c.bucket.Update(ctx, schemas.CacheEntryKey(tenant, key), data, before.Revision)
	if errors.Is(err, jobqueue.ErrConflict) {
		return ErrTaken
	}
	return err
}

// Admit makes sure that there is an entry under a key, or may be one: [ErrFull] if not.
func (c *Cache) Admit(ctx context.Context, tenant, key string) error {
	e, err := c.Look(ctx, tenant, key)
	if err != nil || e.Revision != 0 {
		return err
	}
	return c.add(ctx, tenant)
}

// Keep says that an attempt of a job has the result, whatever was there. The job
// led, or was admitted.
func (c *Cache) Keep(ctx context.Context, tenant, key, job string, attempt int) error {
	data, err := c.encode(Entry{Job: job, Attempt: attempt})
	if err != nil {
		return err
	}
	_, err = c.bucket.Put(ctx, schemas.CacheEntryKey(tenant, key), data)
	return err
}

func (c *Cache) encode(e Entry) ([]byte, error) {
	e.WrittenUS = c.now().UnixMicro()
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode cache entry: %w", err)
	}
	return data, nil
}

func decodeEntry(data []byte) (e Entry, err error) {
	if err := json.Unmarshal(data, &e); err != nil {
		return Entry{}, fmt.Errorf("decode cache entry: %w", err)
	}
	if !schemas.ValidJobID(e.Job) || e.Attempt < 0 {
		return Entry{}, fmt.Errorf("cache entry names job %.40q, attempt %d", e.Job, e.Attempt)
	}
	return e, nil
}
