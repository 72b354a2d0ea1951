package chaos

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/program-explorer/pe/e2e/chaos/check"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore"
)

func now() int64 { return time.Now().UnixMicro() }

// history writes what is seen, a line each.
type history struct {
	mu   sync.Mutex
	file *os.File
	w    *bufio.Writer
	err  error
}

func newHistory(path string) (*history, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &history{file: f, w: bufio.NewWriter(f)}, nil
}

func (h *history) add(l check.Line) {
	text, err := json.Marshal(l)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		_, err = h.w.Write(append(text, '\n'))
	}
	h.err = errors.Join(h.err, err)
}

// read ends the writing and returns what was written.
func (h *history) read() (*check.History, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := errors.Join(h.err, h.w.Flush()); err != nil {
		return nil, fmt.Errorf("write history: %w", err)
	}
	if _, err := h.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return check.Read(h.file)
}

// flush has the file say what was added so far.
func (h *history) flush() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.w.Flush()
}

func (h *history) close() error { return h.file.Close() }

// records follows all records as they are written.
type records struct {
	history *history

	mu     sync.Mutex
	states map[string]string // by key; the terminal ones are removed from open
	open   map[string]bool
	// ran is by key which executor's attempt was accepted.
	ran map[string]string
}

func newRecords(h *history) *records {
	return &records{history: h, states: map[string]string{}, open: map[string]bool{}, ran: map[string]string{}}
}

func (r *records) watch(ctx context.Context, q *jobqueue.Queue) error {
	return q.Jobs.Watch(ctx, r.see, nil)
}

func (r *records) see(e jobqueue.Entry) {
	revision := &check.Revision{Key: e.Key, Rev: e.Revision, Deleted: e.Deleted}
	if !e.Deleted {
		revision.Record = &check.Record{}
		if err := json.Unmarshal(e.Value, revision.Record); err != nil {
			r.history.add(check.Line{Leftover: &check.Leftover{Kind: "record", Detail: e.Key + ": " + err.Error()}})
			return
		}
	}
	r.history.add(check.Line{Revision: revision})
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Deleted {
		delete(r.open, e.Key)
		delete(r.states, e.Key)
		return
	}
	rec := revision.Record
	r.states[e.Key] = rec.State
	if n := len(rec.Attempts); n > 0 && rec.Outcome != nil && rec.Source == nil {
		r.ran[e.Key] = rec.Attempts[n-1].Executor
	}
	switch rec.State {
	case "queued", "running":
		r.open[e.Key] = true
	default:
		delete(r.open, e.Key)
	}
}

// count is how many records there are, and how many of them have not ended.
func (r *records) count() (all, open int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.states), len(r.open)
}

// state of a job; empty if there is none.
func (r *records) state(job check.JobName) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.states[job.Tenant+"."+job.Job]
}

// dead are the jobs that ended so.
func (r *records) dead() (jobs []check.JobName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, state := range r.states {
		if tenant, job, _ := strings.Cut(key, "."); state == "dead" {
			jobs = append(jobs, check.JobName{Tenant: tenant, Job: job})
		}
	}
	return jobs
}

// ranOn counts the jobs whose program ended on each of these executors.
func (r *records) ranOn(executors map[string]way) map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := map[string]int{}
	for _, executor := range r.ran {
		if _, asked := executors[executor]; asked {
			n[executor]++
		}
	}
	return n
}

// byState counts the records.
func (r *records) byState() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := map[string]int{}
	for _, state := range r.states {
		n[state]++
	}
	return n
}

// final reads every record that was ever seen once more, each by itself, and what has come into pages.
func (r *records) final(ctx context.Context, q *jobqueue.Queue) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.states {
		e, err := q.Jobs.Get(ctx, key)
		if errors.Is(err, jobqueue.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		rec := &check.Record{}
		if err := json.Unmarshal(e.Value, rec); err != nil {
			return fmt.Errorf("record %s: %w", key, err)
		}
		rec.Rev = e.Revision
		r.history.add(check.Line{Final: rec})
	}
	return r.pages(ctx, q)
}

// pages reads all pages of history: after the records, of which any may come into
// one between two reads.
func (r *records) pages(ctx context.Context, q *jobqueue.Queue) error {
	var keys []string
	err := q.History.Keys(ctx, func(e jobqueue.Entry) {
		if !e.Deleted && !strings.HasSuffix(e.Key, ".horizon") { // what is over, not who ended
			keys = append(keys, e.Key)
		}
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		e, err := q.History.Get(ctx, key)
		if errors.Is(err, jobqueue.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		r.history.add(check.Line{Page: &check.Page{Key: key, Value: e.Value}})
	}
	return nil
}

// listObjects reads every object of the store and notes what it holds.
func listObjects(ctx context.Context, store objstore.Store, each func(check.Object)) error {
	for after := ""; ; {
		page, err := store.List(ctx, "", after, 0)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, info := range page {
			body, _, err := store.Get(ctx, info.Key, objstore.Range{})
			if err != nil {
				return err
			}
			sum := sha256.New()
			n, err := io.Copy(sum, body)
			body.Close()
			if err != nil {
				return fmt.Errorf("read %s: %w", info.Key, err)
			}
			each(check.Object{Key: info.Key, Size: n, SHA256: "sha256:" + hex.EncodeToString(sum.Sum(nil))})
		}
		after = page[len(page)-1].Key
	}
}

// some names a few jobs that have not ended.
func (r *records) some(n int) (keys []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.open {
		if len(keys) < n {
			keys = append(keys, key+" "+r.states[key])
		}
	}
	return keys
}
