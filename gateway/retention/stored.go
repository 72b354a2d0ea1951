package retention

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Stored is how many bytes each tenant has in the object store: what the last
// sweep of any gateway counted, and what this gateway stored or deleted since.
// What others did since is not in it, so with several gateways a cap may be
// passed by what comes in through them between two sweeps.
type Stored struct {
	bucket *jobqueue.Bucket
	now    func() time.Time

	mu      sync.Mutex
	tenants map[string]*storedBytes
}

type storedBytes struct {
	measured measure
	since    []change
}

// measure is the value under a tenant's key: what a sweep counted.
type measure struct {
	StartedUS int64 `json:"started_us"`
	schemas.ObjectCount
}

// change is what was stored, less what was deleted, in about a second that ended at an instant.
type change struct {
	first, last int64 // microseconds since the Unix epoch
	bytes       int64
}

func newStored(bucket *jobqueue.Bucket, now func() time.Time) *Stored {
	return &Stored{bucket: bucket, now: now, tenants: map[string]*storedBytes{}}
}

// Bytes is how many a tenant has, and when they were last counted, zero for never.
func (s *Stored) Bytes(tenant string) (bytes int64, counted time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[tenant]
	if t == nil {
		return 0, time.Time{}
	}
	bytes = t.measured.Bytes
	for _, c := range t.since {
		bytes += c.bytes
	}
	if t.measured.StartedUS != 0 {
		counted = time.UnixMicro(t.measured.StartedUS)
	}
	return max(bytes, 0), counted
}

// Add notes that bytes of a tenant were stored, or, if negative, deleted.
func (s *Stored) Add(tenant string, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, now := s.tenant(tenant), s.now().UnixMicro()
	if n := len(t.since); n > 0 && now-t.since[n-1].first < time.Second.Microseconds() {
		t.since[n-1].bytes += bytes
		t.since[n-1].last = now
		return
	}
	t.since = append(t.since, change{first: now, last: now, bytes: bytes})
}

func (s *Stored) tenant(name string) *storedBytes {
	t := s.tenants[name]
	if t == nil {
		t = &storedBytes{}
		s.tenants[name] = t
	}
	return t
}

// storedKey is where a tenant's measure is.
func storedKey(tenant string) string { return "stored." + tenant }

// learn replaces a measure, and forgets the changes that it has counted.
func (s *Stored) learn(tenant string, m measure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenant(tenant)
	if m.StartedUS <= t.measured.StartedUS {
		return
	}
	t.measured = m
	for len(t.since) > 0 && t.since[0].last < m.StartedUS {
		t.since = t.since[1:]
	}
}

// watch learns what sweeps of all gateways have counted.
func (s *Stored) watch(ctx context.Context) error {
	return s.bucket.Watch(ctx, func(e jobqueue.Entry) {
		tenant, ok := strings.CutPrefix(e.Key, "stored.")
		var m measure
		if !ok || e.Deleted || json.Unmarshal(e.Value, &m) != nil {
			return
		}
		s.learn(tenant, m)
	}, nil)
}

// known lists the tenants of which something was counted before.
func (s *Stored) known() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.tenants {
		names = append(names, name)
	}
	return names
}

// measured tells all gateways what a whole sweep has counted.
func (r *run) measured(ctx context.Context) error {
	for _, tenant := range r.stored.known() {
		if r.kept[tenant] == nil {
			r.kept[tenant] = &schemas.ObjectCount{}
		}
	}
	total := int64(0)
	for tenant, count := range r.kept {
		total += count.Bytes
		m := measure{StartedUS: r.started.UnixMicro(), ObjectCount: *count}
		if err := r.put(ctx, storedKey(tenant), m); err != nil {
			return err
		}
		r.stored.learn(tenant, m)
	}
	r.metrics.stored.Set(float64(total))
	return r.put(ctx, sweptKey, swept{StartedUS: r.started.UnixMicro(), EndedUS: r.now().UnixMicro()})
}

func (r *run) put(ctx context.Context, key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	_, err = r.bucket.Put(ctx, key, data)
	return err
}
