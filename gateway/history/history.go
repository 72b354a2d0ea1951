package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// ErrNotFound: the page is gone, or the job is not in it any more.
var ErrNotFound = errors.New("not in history any more")

// ErrBehind: somebody else has written the page, or the one that was to be made.
var ErrBehind = errors.New("history was written by somebody else")

// History of all tenants, as one gateway knows it. All methods are safe for
// concurrent use.
type History struct {
	index
	bucket *jobqueue.Bucket
	log    *slog.Logger
	texts  textCache
	reads  singleflight.Group
	rounds rounds
}

// New reads nothing: see [History.Watch].
func New(bucket *jobqueue.Bucket, log *slog.Logger, metrics prometheus.Registerer) (*History, error) {
	h := &History{index: index{tenants: map[string]*shelf{}, origins: map[string]int{}}, bucket: bucket, log: log}
	jobs := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "pe", Name: "history_jobs", Help: "Jobs in history."}, func() float64 { return float64(h.total.Load()) })
	if err := metrics.Register(jobs); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return h, nil
}

// Page is a page that was written.
type Page struct {
	Tenant string
	Jobs   []schemas.HistoryJob

	number, revision uint64
}

// Watch calls each for every page that there is and then for every one that is
// written, until ctx ends. each calls [History.Learn] once it is ready for its jobs
// to be found. Pages that are gone it learns by itself.
func (h *History) Watch(ctx context.Context, each func(Page)) error {
	return h.bucket.Watch(ctx, func(e jobqueue.Entry) {
		defer h.seen.Store(e.Revision)
		if tenant, ok := schemas.ParseHorizonKey(e.Key); ok {
			h.watchHorizon(tenant, e)
			return
		}
		page := Page{revision: e.Revision}
		var err error
		if page.Tenant, page.number, err = schemas.ParseHistoryKey(e.Key); err != nil {
			h.log.Error("page of history skipped", "err", err)
			return
		}
		h.reach(page.Tenant, page.number, e.Revision)
		if e.Deleted {
			h.forget(page.Tenant, page.number, e.Revision)
			return
		}
		if page.Jobs, err = schemas.DecodeHistory(page.Tenant, e.Value); err != nil {
			h.log.Error("page of history skipped", "key", e.Key, "err", err)
			h.pass(page.Tenant, page.number)
			return
		}
		each(page)
	}, func() { h.loaded.Store(true) })
}

// Learn has a page's jobs found.
func (h *History) Learn(p Page) { h.learn(p.Tenant, newPage(p.number, p.revision, p.Jobs)) }

// Knows reports whether a page is known, as it is or as it was: it never gets
// jobs that it did not have.
func (h *History) Knows(p Page) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	s := h.tenants[p.Tenant]
	return s != nil && s.numbered[p.number] != nil
}

// Number is the page's, within its tenant.
func (p Page) Number() uint64 { return p.number }

// Revision is that of the page as it is here.
func (p Page) Revision() uint64 { return p.revision }

// Seen is up to which revision of a page all are known.
func (h *History) Seen() uint64 { return h.seen.Load() }

// Loaded reports whether all pages are known that were there at the start.
func (h *History) Loaded() bool { return h.loaded.Load() }

// growth is what a page may grow by when its outputs expire.
const growth = 64 << 10

// Write makes a page of a tenant, of jobs that are in none before it: one synced
// write. The number is what [History.Next] was when the jobs were chosen. The page is given to
// [History.Learn] by the caller, or else by the watch. [ErrBehind] if somebody
// else has made a page of that number; [schemas.ErrHistoryTooLarge].
func (h *History) Write(ctx context.Context, tenant string, number uint64, jobs []schemas.HistoryJob) (Page, error) {
	p := Page{Tenant: tenant, Jobs: jobs, number: number}
	data, err := schemas.EncodeHistory(tenant, jobs)
	if err == nil && len(data) > schemas.MaxHistoryBytes-growth {
		err = schemas.ErrHistoryTooLarge
	}
	if err == nil { // not over a marker: its page had the number
		p.revision, err = h.bucket.Update(ctx, schemas.HistoryKey(tenant, number), data, 0)
	}
	return p, writeError(p, err)
}

// Next is the number of a tenant's next page: all before it are known.
func (h *History) Next(tenant string) uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if s := h.tenants[tenant]; s != nil {
		return s.last + 1
	}
	return 1
}

// Open reads a page to rewrite it; [ErrNotFound].
func (h *History) Open(ctx context.Context, tenant string, number uint64) (Page, error) {
	p := Page{Tenant: tenant, number: number}
	e, err := h.bucket.Get(ctx, schemas.HistoryKey(tenant, number))
	if errors.Is(err, jobqueue.ErrNotFound) {
		err = ErrNotFound
	}
	if err == nil {
		p.revision = e.Revision
		p.Jobs, err = schemas.DecodeHistory(tenant, e.Value)
	}
	return p, writeError(p, err)
}

// OpenAt reads the page that has a job; [ErrNotFound].
func (h *History) OpenAt(ctx context.Context, at Place) (Page, error) {
	return h.Open(ctx, at.Tenant, at.page)
}

// Rewrite writes a page's jobs as they are now, or deletes it if there are none,
// on condition that it is still as it was opened; else [ErrBehind].
func (h *History) Rewrite(ctx context.Context, p Page) error {
	key := schemas.HistoryKey(p.Tenant, p.number)
	if len(p.Jobs) == 0 {
		retire := h.bucket.Retire
		if p.number+1 >= h.Next(p.Tenant) {
			retire = h.bucket.Mark // for good: gateways that start later number on from it
		}
		marker, err := retire(ctx, key, p.revision)
		if err == nil {
			h.forget(p.Tenant, p.number, marker)
		}
		return writeError(p, err)
	}
	data, err := schemas.EncodeHistory(p.Tenant, p.Jobs)
	if err == nil {
		p.revision, err = h.bucket.Update(ctx, key, data, p.revision)
	}
	if err == nil {
		h.Learn(p)
	}
	return writeError(p, err)
}

func writeError(p Page, err error) error {
	if errors.Is(err, jobqueue.ErrConflict) {
		err = ErrBehind
	}
	if err != nil {
		return fmt.Errorf("page %d of history of %s: %w", p.number, p.Tenant, err)
	}
	return nil
}
