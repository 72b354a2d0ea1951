package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Stored is how many bytes each tenant has in the object store: what the last
// sweep of any gateway counted, and what came and went since, as far as this
// gateway knows. Of jobs it knows from their records, which all gateways see, also
// after a restart. Of inputs it knows what it took itself since it started.
type Stored struct {
	bucket *jobqueue.Bucket
	now    func() time.Time
	every  time.Duration

	mu      sync.Mutex
	tenants map[string]*storedBytes
	// swept is when the last whole sweep began, in microseconds since the Unix
	// epoch: what was stored before is in its figures.
	swept int64
}

type storedBytes struct {
	measured measure
	// since are the changes after that, by the changePeriod in which they were.
	since map[int64]*change
}

// measure is the value under a tenant's key: what a sweep counted.
type measure struct {
	StartedUS int64 `json:"started_us"`
	schemas.ObjectCount
}

// change is what was stored, less what was deleted.
type change struct {
	last  int64 // when, in microseconds since the Unix epoch
	bytes int64
}

// changePeriod bounds how many changes are remembered.
const changePeriod = 10 * time.Second

// NewStored counts what sweeps of the queue's gateways find, which is every so
// often; default an hour. now is the clock, default time.Now.
func NewStored(queue *jobqueue.Queue, every time.Duration, now func() time.Time) *Stored {
	if every <= 0 {
		every = time.Hour
	}
	if now == nil {
		now = time.Now
	}
	return &Stored{bucket: queue.Sweep, now: now, every: every, tenants: map[string]*storedBytes{}}
}

// Bytes is how many a tenant has, and when the store was last looked through, zero for never.
func (s *Stored) Bytes(tenant string) (bytes int64, counted time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, last := s.tenants[tenant], s.swept
	if t != nil {
		bytes, last = t.measured.Bytes, max(last, t.measured.StartedUS)
		for _, c := range t.since {
			bytes += c.bytes
		}
	}
	if last != 0 {
		counted = time.UnixMicro(last)
	}
	return max(bytes, 0), counted
}

// Recount is about how long it takes until the next sweep.
func (s *Stored) Recount() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(max(time.UnixMicro(s.swept).Add(s.every).Sub(s.now()), 0), s.every)
}

// Add notes that bytes of a tenant were stored at an instant, or, if negative, deleted.
func (s *Stored) Add(tenant string, bytes int64, at time.Time) {
	if bytes == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, us := s.tenant(tenant), at.UnixMicro()
	if us < max(s.swept, t.measured.StartedUS) {
		return // it is in the figures
	}
	period := us / changePeriod.Microseconds()
	if t.since[period] == nil {
		t.since[period] = &change{}
	}
	c := t.since[period]
	c.bytes += bytes
	c.last = max(c.last, us)
}

func (s *Stored) tenant(name string) *storedBytes {
	t := s.tenants[name]
	if t == nil {
		t = &storedBytes{since: map[int64]*change{}}
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
	if m.StartedUS > t.measured.StartedUS {
		t.measured = m
		t.forget(m.StartedUS)
	}
}

// learnSwept takes note of a whole sweep: tenants that it has no figures of had nothing.
func (s *Stored) learnSwept(began int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swept = max(s.swept, began)
	for _, t := range s.tenants {
		t.forget(s.swept)
	}
}

func (t *storedBytes) forget(before int64) {
	for period, c := range t.since {
		if c.last < before {
			delete(t.since, period)
		}
	}
}

// Load learns when the last sweep was, so that nothing that it has counted is noted as new.
func (s *Stored) Load(ctx context.Context) error {
	e, err := s.bucket.Get(ctx, sweptKey)
	if err != nil && !errors.Is(err, jobqueue.ErrNotFound) {
		return fmt.Errorf("read when the last sweep was: %w", err)
	}
	if err == nil {
		s.note(e)
	}
	return nil
}

// watch learns what sweeps of all gateways have counted.
func (s *Stored) watch(ctx context.Context) error {
	return s.bucket.Watch(ctx, s.note, nil)
}

// note takes an entry of the bucket.
func (s *Stored) note(e jobqueue.Entry) {
	if e.Deleted {
		return
	}
	var last swept
	if e.Key == sweptKey && json.Unmarshal(e.Value, &last) == nil {
		s.learnSwept(last.StartedUS)
	}
	var m measure
	if tenant, ok := strings.CutPrefix(e.Key, "stored."); ok && json.Unmarshal(e.Value, &m) == nil {
		s.learn(tenant, m)
	}
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
	last := swept{StartedUS: r.started.UnixMicro(), EndedUS: r.now().UnixMicro()}
	if err := r.put(ctx, sweptKey, last); err != nil {
		return err
	}
	r.stored.learnSwept(last.StartedUS)
	return nil
}

func (r *run) put(ctx context.Context, key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	_, err = r.bucket.Put(ctx, key, data)
	return err
}
