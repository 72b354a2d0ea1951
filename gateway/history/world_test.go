package history

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

const tenant = "alice"

// epoch is when jobs of tests were created, in microseconds: a whole millisecond.
const epoch = 1_700_000_000_000_000

func newIndex() *index {
	return &index{tenants: map[string]*shelf{}, origins: map[string]int{}}
}

// newHistory knows nothing: no watch runs.
func newHistory(t *testing.T, bucket *jobqueue.Bucket) *History {
	t.Helper()
	h, err := New(bucket, slog.New(slog.NewTextHandler(t.Output(), nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func bucket(t *testing.T) *jobqueue.Bucket {
	t.Helper()
	return queuetest.Start(t).Gateway(t, nil).History
}

// random numbers whose seed is in the test's log.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// idOf is an id with a time, and randomness that begins with n.
func idOf(ms int64, n uint64) string {
	id, err := schemas.NewJobID(time.UnixMilli(ms), strings.NewReader(fmt.Sprintf("%016x", n*0x9e3779b97f4a7c15)))
	if err != nil {
		panic(err)
	}
	return id
}

// ended is a job that ended so many microseconds after the epoch, as of a revision.
func ended(at int64, n uint64) schemas.HistoryJob {
	return schemas.HistoryJob{Revision: n + 1, Record: schemas.Record{
		Version: schemas.RecordVersion, ID: idOf((epoch+at)/1000, n), Tenant: tenant, State: schemas.StateSucceeded,
		CreatedUS: epoch + at, EndedUS: epoch + at + 10,
	}}
}

// some are n jobs, the first with the revision after one.
func some(n int, after uint64) (jobs []schemas.HistoryJob) {
	for i := range uint64(n) {
		jobs = append(jobs, ended(int64(after+i), after+i))
	}
	return jobs
}

// pageOf is what is known of a page of jobs.
func pageOf(number, revision uint64, jobs []schemas.HistoryJob) *page {
	jobs = slices.Clone(jobs)
	slices.SortFunc(jobs, func(a, b schemas.HistoryJob) int { return schemas.CompareJobs(&a.Record, &b.Record) })
	return newPage(number, revision, jobs)
}

// write makes a tenant's next page.
func write(t *testing.T, h *History, jobs []schemas.HistoryJob) Page {
	t.Helper()
	page, err := h.Write(t.Context(), tenant, h.Next(tenant), jobs)
	if err != nil {
		t.Fatal(err)
	}
	h.Learn(page)
	return page
}

// watch has a history learn what is written until the test ends, or stop is called.
func watch(t *testing.T, h *History) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := h.Watch(ctx, h.Learn); err != nil {
			t.Error(err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

func catchUp(t *testing.T, h *History) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := h.CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
}
