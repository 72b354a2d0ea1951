package history

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestReadAfterRewrite: a place that was found before its page was rewritten still
// leads to the job, if it is there.
func TestReadAfterRewrite(t *testing.T) {
	t.Parallel()
	b := bucket(t)
	h, other := newHistory(t, b), newHistory(t, b)
	jobs := some(5, 0)
	write(t, h, slices.Clone(jobs))
	var places []Place
	for _, job := range jobs {
		at, ok := h.Find(tenant, job.Record.ID)
		if !ok {
			t.Fatalf("job %d is not found", job.Revision)
		}
		places = append(places, at)
	}
	rewrite := func(change func([]schemas.HistoryJob) []schemas.HistoryJob) {
		page, err := other.Open(t.Context(), tenant, 1)
		if err == nil {
			page.Jobs = change(page.Jobs)
			err = other.Rewrite(t.Context(), page)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, want ...int) {
		t.Helper()
		for name, h := range map[string]*History{"as read before": h, "as read now": other} {
			for i, at := range places {
				job, err := h.Read(t.Context(), at)
				if found := slices.Contains(want, i); found && (err != nil || job.Record.ID != at.Job) || !found && !errors.Is(err, ErrNotFound) {
					t.Errorf("%s: job %d, %s: %v, %v", when, i, name, job.Record.ID, err)
				}
			}
			h.texts = textCache{}
		}
	}
	check("as written", 0, 1, 2, 3, 4)
	rewrite(func(jobs []schemas.HistoryJob) []schemas.HistoryJob { return jobs[2:4] })
	check("two are left", 2, 3)
	rewrite(func([]schemas.HistoryJob) []schemas.HistoryJob { return nil })
	check("none is left")
}

// TestReadIsNeverOld: whoever knows of a page's new version does not get the text of the one before.
func TestReadIsNeverOld(t *testing.T) {
	t.Parallel()
	h := newHistory(t, bucket(t))
	page := write(t, h, some(3, 0))
	for n := range int64(3) {
		for i := range page.Jobs {
			at, _ := h.Find(tenant, page.Jobs[i].Record.ID)
			if job, err := h.Read(t.Context(), at); err != nil || job.Record.PurgedUS != n {
				t.Errorf("version %d: purged at %d, %v", n, job.Record.PurgedUS, err)
			}
		}
		page, err := h.Open(t.Context(), tenant, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Jobs {
			page.Jobs[i].Record.PurgedUS = n + 1
		}
		if err := h.Rewrite(t.Context(), page); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTextCache keeps what was read last, and not more than it may.
func TestTextCache(t *testing.T) {
	t.Parallel()
	jobs := some(schemas.MaxHistoryJobs, 0)
	for i := range jobs {
		jobs[i].Record.Callback = strings.Repeat("x", 4000)
	}
	data, err := schemas.EncodeHistory(tenant, jobs)
	if err != nil {
		t.Fatal(err)
	}
	text, err := schemas.OpenHistory(tenant, data)
	if err != nil {
		t.Fatal(err)
	}
	var c textCache
	room := textCacheBytes / text.Size()
	if room < 3 {
		t.Fatalf("room for %d pages: too few for this test", room)
	}
	for i := range 3 * room {
		if c.get("first", 1); i%2 == 0 {
			c.put("first", 1, text)
		}
		c.put(fmt.Sprint(i), uint64(i), text)
		if c.bytes > textCacheBytes || len(c.texts) != min(i+2, room) || c.bytes != len(c.texts)*text.Size() {
			t.Fatalf("%d pages of %d bytes after %d", len(c.texts), c.bytes, i)
		}
	}
	if c.get("first", 1) == nil || c.get(fmt.Sprint(3*room-1), uint64(3*room-1)) == nil || c.get(fmt.Sprint(room), uint64(room)) != nil {
		t.Error("it does not keep what was used last")
	}
	if c.get("first", 2) != nil {
		t.Error("an old version is given")
	}
}
