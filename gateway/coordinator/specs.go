package coordinator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// errSpecGone: the object store has no specification of the job, or another one.
var errSpecGone = errors.New("the job's specification is not in the object store")

const (
	specCacheBytes = 16 << 20
	// maxStoredSpec bounds a specification with its defaults: MaxSpecBytes bounds what was posted.
	maxStoredSpec = 2 * schemas.MaxSpecBytes
	specName      = "spec.json"
)

// specCache keeps the specifications last submitted or read, so that a claim
// need not wait for the object store.
type specCache struct {
	limit int64
	mu    sync.Mutex
	size  int64
	bytes map[string][]byte // by digest
	order []string
}

func newSpecCache(limit int64) *specCache {
	return &specCache{limit: limit, bytes: map[string][]byte{}}
}

func (s *specCache) put(digest string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.bytes[digest]; ok || int64(len(data)) > s.limit/4 {
		return
	}
	s.bytes[digest] = data
	s.order = append(s.order, digest)
	s.size += int64(len(data))
	for s.size > s.limit {
		oldest := s.order[0]
		s.order = s.order[1:]
		s.size -= int64(len(s.bytes[oldest]))
		delete(s.bytes, oldest)
	}
}

func (s *specCache) get(digest string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes[digest]
}

// Spec reads the specification of a job.
func (c *Coordinator) Spec(ctx context.Context, rec schemas.Record) (schemas.JobSpec, error) {
	spec, err := c.spec(ctx, &rec)
	if err != nil {
		return schemas.JobSpec{}, err
	}
	return *spec, nil
}

func (c *Coordinator) spec(ctx context.Context, rec *schemas.Record) (*schemas.JobSpec, error) {
	data := c.specs.get(rec.Spec.SHA256)
	if data == nil {
		var err error
		if data, err = c.fetchSpec(ctx, rec); err != nil {
			return nil, err
		}
		c.specs.put(rec.Spec.SHA256, data)
	}
	spec := &schemas.JobSpec{}
	if err := json.Unmarshal(data, spec); err != nil {
		return nil, fmt.Errorf("%w: decode: %w", errSpecGone, err)
	}
	return spec, nil
}

func (c *Coordinator) fetchSpec(ctx context.Context, rec *schemas.Record) ([]byte, error) {
	body, _, err := c.store.Get(ctx, rec.SpecKey(), objstore.Range{})
	if errors.Is(err, objstore.ErrNotFound) {
		return nil, errSpecGone
	}
	if err != nil {
		return nil, fmt.Errorf("read specification of job %s: %w", rec.ID, err)
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, maxStoredSpec+1))
	if err != nil {
		return nil, fmt.Errorf("read specification of job %s: %w", rec.ID, err)
	}
	if digestOf(data) != rec.Spec.SHA256 {
		return nil, fmt.Errorf("%w: it was changed", errSpecGone)
	}
	return data, nil
}

// storeSpec writes a specification under its name for the job.
func (c *Coordinator) storeSpec(ctx context.Context, rec *schemas.Record, data []byte) error {
	sum, err := schemas.ParseDigest(rec.Spec.SHA256)
	if err != nil {
		return fmt.Errorf("store specification: %w", err)
	}
	_, err = c.store.Put(ctx, rec.SpecKey(), bytes.NewReader(data), objstore.PutOptions{
		Size: int64(len(data)), SHA256: sum, ContentType: "application/json",
	})
	if err != nil {
		return fmt.Errorf("store specification of job %s: %w", rec.ID, err)
	}
	c.specs.put(rec.Spec.SHA256, data)
	return nil
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return schemas.DigestPrefix + hex.EncodeToString(sum[:])
}
