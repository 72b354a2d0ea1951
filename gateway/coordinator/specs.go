package coordinator

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/program-explorer/pe/gateway/jobresult"
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

// specCache keeps the specifications last stored or read, so that a claim need
// not wait for the object store. Small ones stand in the records.
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

func (c *Coordinator) spec(ctx context.Context, rec *schemas.Record) (*schemas.JobSpec, error) {
	data := []byte(rec.SpecInline)
	if data == nil {
		data = c.specs.get(rec.Spec.SHA256)
	}
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
	data, err := c.objects.Document(ctx, rec.SpecKey(), rec.Spec, maxStoredSpec)
	if errors.Is(err, jobresult.ErrLost) {
		return nil, fmt.Errorf("%w: %w", errSpecGone, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read specification of job %s: %w", rec.ID, err)
	}
	return data, nil
}

// specObject names a specification that is not in its record. Of a job with an
// idempotency key each request's has a name of its own: who comes second must not
// overwrite the first one's, and whoever removes an expired job must not delete
// that of the next one under its key.
func specObject(rec *schemas.Record, spec []byte) schemas.Object {
	o := schemas.Object{Name: specName, Size: int64(len(spec)), SHA256: digestOf(spec)}
	if rec.IdempotencyKey != "" {
		o.Name = "spec-" + rand.Text() + ".json"
	}
	return o
}

// storeSpec writes the specification of a job whose record does not hold it.
func (c *Coordinator) storeSpec(ctx context.Context, d draft) error {
	if d.spec == nil {
		return nil
	}
	sum, err := schemas.ParseDigest(d.rec.Spec.SHA256)
	if err != nil {
		return fmt.Errorf("store specification: %w", err)
	}
	_, err = c.store.Put(ctx, d.rec.SpecKey(), bytes.NewReader(d.spec), objstore.PutOptions{
		Size: int64(len(d.spec)), SHA256: sum, ContentType: "application/json",
	})
	if err != nil {
		return fmt.Errorf("store specification of job %s: %w", d.rec.ID, err)
	}
	c.specs.put(d.rec.Spec.SHA256, d.spec)
	return nil
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return schemas.DigestPrefix + hex.EncodeToString(sum[:])
}
