package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/gateway/history"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// fakeJobs is a coordinator without a queue, for what the real one would not
// do on demand. It stores specifications as the real one does.
type fakeJobs struct {
	store objstore.Store
	fleet []schemas.Executor
	down  error
	// lost says that the output of ended jobs is.
	lost bool
	// cut has streams of ended jobs end before all is told.
	cut bool
	// full refuses every submission.
	full error
	// stored is what each tenant has; at most maxStored, unless that is 0.
	stored    map[string]int64
	maxStored int64
	// origin is the job whose result is in the cache; nil for none.
	origin  *schemas.Record
	cleared atomic.Int64

	mu      sync.Mutex
	records map[string]schemas.Record
	changed chan struct{}
	live    map[string][]chan coordinator.Update
	logged  map[string][]byte
	events  chan coordinator.JobUpdate // of the last stream of a tenant's events, and what was asked
	asked   coordinator.EventQuery
	askedBy string        // the tenant of it
	waits   chan struct{} // one for each Wait that began
}

func newFakeJobs(store objstore.Store) *fakeJobs {
	return &fakeJobs{store: store, stored: map[string]int64{}, records: map[string]schemas.Record{}, changed: make(chan struct{}),
		live: map[string][]chan coordinator.Update{}, logged: map[string][]byte{}, waits: make(chan struct{}, 1000), fleet: []schemas.Executor{{
			Facts: schemas.Facts{Executor: "box", Offers: []schemas.Offering{{Arch: "amd64", Isolation: "vm", Accel: "tcg"}}}, State: "up",
		}}}
}

func (f *fakeJobs) Submit(ctx context.Context, s coordinator.Submission) (schemas.Record, bool, error) {
	if f.full != nil {
		return schemas.Record{}, false, f.full
	}
	if first, found, err := f.Earlier(ctx, s); found || err != nil {
		return first, false, err
	}
	id, err := schemas.NewJobID(time.Now(), rand.Reader)
	if err != nil {
		return schemas.Record{}, false, err
	}
	callback := ""
	if s.Spec.Callback != nil {
		callback, s.Spec.Callback = s.Spec.Callback.URL, nil
	}
	data, err := json.Marshal(s.Spec)
	if err != nil {
		return schemas.Record{}, false, err
	}
	r := schemas.Record{
		Version: 1, ID: id, Tenant: s.Tenant, State: schemas.StateQueued, Lane: s.Spec.Lane, Needs: s.Spec.Requires, Pool: s.Spec.Requires.Pool(),
		IdempotencyKey: s.Spec.IdempotencyKey, IdempotencyDigest: s.Request, Image: s.Image, Labels: s.Spec.Labels, CreatedUS: time.Now().UnixMicro(), QueuedUS: time.Now().UnixMicro(), Spec: objectOf("spec.json", data), Callback: callback,
	}
	if _, err := f.store.Put(ctx, schemas.SpecKey(s.Tenant, id), bytes.NewReader(data), objstore.PutOptions{Size: int64(len(data))}); err != nil {
		return r, false, err
	}
	f.set(r)
	return r, true, nil
}

func (f *fakeJobs) Earlier(_ context.Context, s coordinator.Submission) (schemas.Record, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.records {
		if s.Spec.IdempotencyKey == "" || r.Tenant != s.Tenant || r.IdempotencyKey != s.Spec.IdempotencyKey {
			continue
		}
		if r.IdempotencyDigest != s.Request {
			return r, false, coordinator.ErrKeyReused
		}
		return r, true, nil
	}
	return schemas.Record{}, false, nil
}

func (f *fakeJobs) SubmitBatch(ctx context.Context, jobs []coordinator.Submission, _ bool) ([]coordinator.Submitted, error) {
	var answers []coordinator.Submitted
	for _, s := range jobs {
		rec, created, err := f.Submit(ctx, s)
		if err != nil {
			return nil, err
		}
		answers = append(answers, coordinator.Submitted{Record: rec, Created: created})
	}
	return answers, nil
}

func objectOf(name string, data []byte) schemas.Object {
	sum := sha256.Sum256(data)
	return schemas.Object{Name: name, Size: int64(len(data)), SHA256: schemas.Digest(sum[:])}
}

func (f *fakeJobs) set(r schemas.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records[schemas.RecordKey(r.Tenant, r.ID)] = r
	close(f.changed)
	f.changed = make(chan struct{})
	f.tellLocked(r.ID, coordinator.Update{Record: &r})
}

func (f *fakeJobs) tell(job string, u coordinator.Update) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tellLocked(job, u)
}

func (f *fakeJobs) tellLocked(job string, u coordinator.Update) {
	for _, c := range f.live[job] {
		c <- u
		if u.Record != nil && u.Record.State.Terminal() {
			c <- coordinator.Update{End: &coordinator.Ending{}}
			close(c)
		}
	}
	if u.Record != nil && u.Record.State.Terminal() {
		delete(f.live, job)
	}
}

func (f *fakeJobs) Get(_ context.Context, tenant, job string) (schemas.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.records[schemas.RecordKey(tenant, job)]
	if !ok {
		return r, coordinator.ErrNotFound
	}
	return r, nil
}

func (f *fakeJobs) Wait(ctx context.Context, tenant, job string, until func(schemas.Record) bool) (schemas.Record, error) {
	select {
	case f.waits <- struct{}{}:
	default:
	}
	for {
		f.mu.Lock()
		r, known := f.records[schemas.RecordKey(tenant, job)]
		changed := f.changed
		f.mu.Unlock()
		if !known {
			return r, coordinator.ErrNotFound
		}
		if until(r) {
			return r, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
}

// awaitWaiters returns when n long polls have begun.
func (f *fakeJobs) awaitWaiters(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-f.waits:
		case <-time.After(10 * time.Second):
			t.Fatal("nobody waits")
		}
	}
}

func (f *fakeJobs) List(_ context.Context, tenant string, filter coordinator.Filter, after string, limit int) ([]schemas.Record, string, error) {
	if after != "" && !schemas.ValidJobID(after) {
		return nil, "", coordinator.ErrCursor
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var page []schemas.Record
	last := f.records[schemas.RecordKey(tenant, after)]
	for _, r := range slices.SortedFunc(maps.Values(f.records), newestFirst) {
		if r.Tenant != tenant || after != "" && newestFirst(r, last) <= 0 || !selects(filter, r) {
			continue
		}
		if len(page) == limit {
			return page, page[len(page)-1].ID, nil
		}
		page = append(page, r)
	}
	return page, "", nil
}

func newestFirst(a, b schemas.Record) int {
	return cmp.Or(cmp.Compare(b.CreatedUS, a.CreatedUS), cmp.Compare(b.ID, a.ID))
}

func selects(f coordinator.Filter, r schemas.Record) bool {
	return (len(f.States) == 0 || slices.Contains(f.States, r.State)) && history.HasLabels(&r, f.Labels)
}

func (f *fakeJobs) Cancel(ctx context.Context, tenant, job string) (schemas.Record, error) {
	r, err := f.Get(ctx, tenant, job)
	switch {
	case err != nil:
		return r, err
	case r.State.Terminal():
		return r, coordinator.ErrEnded
	case r.State == schemas.StateQueued:
		r.State, r.EndedUS = schemas.StateCancelled, time.Now().UnixMicro()
	default:
		r.Cancel = true
	}
	f.set(r)
	return r, nil
}

func (f *fakeJobs) Cached(ctx context.Context, s coordinator.Submission) (schemas.Record, bool, error) {
	f.mu.Lock()
	origin := f.origin
	f.mu.Unlock()
	if origin == nil {
		return schemas.Record{}, false, nil
	}
	r, _, err := f.Submit(ctx, s)
	r.State, r.Outcome, r.Result, r.Archive, r.EndedUS = origin.State, origin.Outcome, origin.Result, origin.Archive, r.CreatedUS
	r.Source = &schemas.Source{Job: origin.ID, Attempt: 1, EndedUS: origin.EndedUS}
	f.set(r)
	return r, true, err
}

func (f *fakeJobs) CacheInfo(context.Context, string) (schemas.CacheInfo, error) {
	return schemas.CacheInfo{Entries: 3, Hits: 2, ClearedUS: int64(f.cleared.Load())}, nil
}

func (f *fakeJobs) ClearCache(context.Context, string) error {
	f.cleared.Add(1)
	return nil
}

func (f *fakeJobs) Retry(ctx context.Context, tenant, job string) (schemas.Record, error) {
	r, err := f.deadJob(ctx, tenant, job)
	if err == nil {
		r.State, r.Failure, r.EndedUS = schemas.StateQueued, nil, 0
		f.set(r)
	}
	return r, err
}

func (f *fakeJobs) Drop(ctx context.Context, tenant, job string) (schemas.Record, error) {
	r, err := f.deadJob(ctx, tenant, job)
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.records, schemas.RecordKey(tenant, job))
	}
	return r, err
}

func (f *fakeJobs) deadJob(ctx context.Context, tenant, job string) (schemas.Record, error) {
	r, err := f.Get(ctx, tenant, job)
	if err == nil && r.State != schemas.StateDead {
		err = coordinator.ErrNotDead
	}
	return r, err
}

func (f *fakeJobs) Executors() []schemas.Executor { return f.fleet }
func (f *fakeJobs) Ready() error                  { return f.down }

func (f *fakeJobs) Waiting(r schemas.Record) string {
	if len(f.fleet) == 0 {
		return "no executor is known"
	}
	return ""
}

func (f *fakeJobs) Logs(_ context.Context, _ schemas.Record, stream string, offset int64) (schemas.LogsReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data := f.logged[stream]
	return schemas.LogsReply{Data: data[min(int(offset), len(data)):], End: int64(len(data))}, nil
}

func (f *fakeJobs) Follow(ctx context.Context, tenant, job string, _ coordinator.Offsets) (<-chan coordinator.Update, error) {
	r, err := f.Get(ctx, tenant, job)
	if err != nil {
		return nil, err
	}
	c := make(chan coordinator.Update, 100)
	c <- coordinator.Update{Record: &r}
	if r.State.Terminal() {
		if !f.cut {
			c <- coordinator.Update{End: &coordinator.Ending{Lost: f.lost}}
		}
		close(c)
		return c, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live[job] = append(f.live[job], c)
	return c, nil
}

func (f *fakeJobs) Events(_ context.Context, tenant string, q coordinator.EventQuery) (<-chan coordinator.JobUpdate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.askedBy = q, tenant
	if q.After > 1000 {
		return nil, coordinator.ErrRevision
	}
	f.events = make(chan coordinator.JobUpdate, 100)
	f.events <- coordinator.JobUpdate{Revision: max(q.After, 7)}
	return f.events, nil
}

var errNotReady = errors.New("no connection to the queue at 10.0.0.7")

func (f *fakeJobs) followers(job string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.live[job])
}

// offer tells the job's one follower something, unless it stops listening for so long.
func (f *fakeJobs) offer(job string, u coordinator.Update, patience time.Duration) bool {
	f.mu.Lock()
	c := f.live[job][0]
	f.mu.Unlock()
	select {
	case c <- u:
		return true
	case <-time.After(patience):
		return false
	}
}

func (f *fakeJobs) Usage(tenant string) (schemas.TenantUsage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return schemas.TenantUsage{Tenant: tenant, Queued: len(f.records), StoredBytes: f.stored[tenant], Weight: 1}, nil
}

func (f *fakeJobs) Reserve(tenant string, bytes int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if has := f.stored[tenant]; f.maxStored > 0 && (has >= f.maxStored || has+bytes > f.maxStored) {
		return &coordinator.FullError{What: "too much is stored", After: 10 * time.Minute, Stored: true}
	}
	f.stored[tenant] += bytes
	return nil
}

func (f *fakeJobs) Settle(tenant string, reserved, stored int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stored[tenant] += stored - reserved
}

// storedOf is how many bytes a tenant is said to have.
func (f *fakeJobs) storedOf(tenant string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stored[tenant]
}
