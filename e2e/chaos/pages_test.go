package chaos

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/program-explorer/pe/e2e/chaos/check"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// TestPagesAreReadAtTheEnd: of jobs whose records have come into a page, as the
// system writes one, none is lost; and a page that somebody else wrote is found.
func TestPagesAreReadAtTheEnd(t *testing.T) {
	t.Parallel()
	queue := queuetest.Start(t).Gateway(t, slog.New(slog.DiscardHandler))
	h, err := newHistory(filepath.Join(t.TempDir(), "history.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	r := newRecords(h)
	var page []schemas.HistoryJob
	for i, id := range []string{"j01h8x3vz9k6tqc2n4m5p7r0sa", "j01h8x3vz9k6tqc2n4m5p7r0sb", "j01h8x3vz9k6tqc2n4m5p7r0sc"} {
		rec := cancelled(id, int64(i+1))
		h.add(check.Line{Accepted: &check.Accepted{JobName: check.JobName{Tenant: rec.Tenant, Job: id}}})
		page = append(page, schemas.HistoryJob{Revision: create(t, queue, r, rec), Record: rec})
	}
	data, err := schemas.EncodeHistory("ant", page)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string][]byte{schemas.HistoryKey("ant", 1): data, schemas.HistoryKey("bee", 1): data} {
		if _, err := queue.History.Create(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	for _, job := range page[1:] { // the first one's is yet to go, or is back
		if err := queue.Jobs.Free(t.Context(), schemas.RecordKey("ant", job.Record.ID), job.Revision); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.final(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	read, err := h.read()
	if err != nil {
		t.Fatal(err)
	}
	if len(read.Final) != 1 || len(read.Pages) != 2 {
		t.Errorf("%d records and %d pages", len(read.Final), len(read.Pages))
	}
	if n := read.Paged(); n != len(page) {
		t.Errorf("%d jobs in pages that can be read", n)
	}
	found := check.Check(read)
	if len(found) != 1 || found[0].Rule != check.RulePage || !strings.Contains(found[0].Detail, "bee.p1") {
		t.Errorf("found %v", found)
	}
}

func cancelled(id string, created int64) schemas.Record {
	return schemas.Record{
		Version: schemas.RecordVersion, ID: id, Tenant: "ant", State: schemas.StateCancelled,
		SpecInline: json.RawMessage(`{}`), CreatedUS: created, EndedUS: created + 1,
	}
}

// create writes a record as it is first and last seen.
func create(t *testing.T, queue *jobqueue.Queue, r *records, rec schemas.Record) uint64 {
	t.Helper()
	key := schemas.RecordKey(rec.Tenant, rec.ID)
	var revision uint64
	for _, state := range []schemas.State{schemas.StateQueued, rec.State} {
		rec.State = state
		data, err := json.Marshal(rec)
		if err == nil && revision == 0 {
			revision, err = queue.Jobs.Create(t.Context(), key, data)
		} else if err == nil {
			revision, err = queue.Jobs.Update(t.Context(), key, data, revision)
		}
		if err != nil {
			t.Fatal(err)
		}
		r.see(jobqueue.Entry{Key: key, Value: data, Revision: revision})
	}
	return revision
}
