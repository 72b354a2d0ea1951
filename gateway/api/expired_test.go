package api

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/retention"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// aging are rules for inputs that are all of the same age, while a sweep may be at it.
type aging struct {
	missing, unusable bool
	quiet             func() error
}

func (a *aging) Missing(time.Time) bool { return a.missing }
func (a *aging) Usable(time.Time) bool  { return !a.unusable }
func (a *aging) Until() time.Time       { return time.Now().Add(time.Hour) }
func (a *aging) Quiet(context.Context) error {
	if a.quiet == nil {
		return nil
	}
	return a.quiet()
}

// TestOldBlobIsUploadedAgain: it is missing first, then of no use; and uploading it makes it new.
func TestOldBlobIsUploadedAgain(t *testing.T) {
	t.Parallel()
	rules := &aging{}
	h := start(t, func(c *Config) { c.Inputs = rules })
	content := "int main(void) { return 0; }"
	blob := objectOf("", []byte(content))
	path := "/v1/blobs/" + blob.SHA256[len(schemas.DigestPrefix):]
	ask[schemas.Blob](t, h, http.StatusCreated, "PUT", path, content)
	ask[schemas.Blob](t, h, http.StatusOK, "PUT", path, content)
	spec := `{"image":"gcc:14","files":{"main.c":{"sha256":"` + blob.SHA256 + `"}},"args":["true"]}`
	missing := func() int {
		return len(ask[schemas.MissingReply](t, h, http.StatusOK, "POST", "/v1/blobs/missing", `{"sha256":["`+blob.SHA256+`"]}`).Missing)
	}
	if n := missing(); n != 0 {
		t.Errorf("%d are missing of what was just uploaded", n)
	}
	rules.missing = true
	if n := missing(); n != 1 {
		t.Errorf("%d are missing, want the old one", n)
	}
	h.submit(t, spec) // who asked a moment before it was too old
	before := h.modified(t, blob)
	ask[schemas.Blob](t, h, http.StatusCreated, "PUT", path, content)
	if after := h.modified(t, blob); !after.After(before) {
		t.Error("uploading it again did not make it new")
	}
	rules.unusable = true
	if p := h.refused(t, kindInvalid, "POST", "/v1/jobs", spec); len(p.Problems) != 1 || p.Problems[0].Pointer != "/files/main.c/sha256" {
		t.Errorf("problems: %+v", p.Problems)
	}
}

func (h *harness) modified(t *testing.T, blob schemas.Object) time.Time {
	t.Helper()
	info, err := h.store.Stat(t.Context(), schemas.InputKey(schemas.SingleTenant, blob.SHA256[len(schemas.DigestPrefix):]))
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime
}

// TestUploadDuringASweep: only a blob that is there after the sweep was stored.
func TestUploadDuringASweep(t *testing.T) {
	t.Parallel()
	rules := &aging{}
	h := start(t, func(c *Config) { c.Inputs = rules })
	blob := objectOf("", []byte("x"))
	sum := blob.SHA256[len(schemas.DigestPrefix):]
	rules.quiet = func() error {
		return h.store.Delete(context.Background(), schemas.InputKey(schemas.SingleTenant, sum))
	}
	h.refused(t, kindUnavailable, "PUT", "/v1/blobs/"+sum, "x")
	rules.quiet = func() error { return retention.ErrSweeping }
	h.refused(t, kindUnavailable, "PUT", "/v1/blobs/"+sum, "x")
	rules.quiet, rules.missing = func() error { return nil }, true
	ask[schemas.Blob](t, h, http.StatusCreated, "PUT", "/v1/blobs/"+sum, "x")
}

// TestExpiredOutputs: the job is known, and that it had more.
func TestExpiredOutputs(t *testing.T) {
	t.Parallel()
	h := start(t)
	job := h.submit(t, `{"image":"gcc:14","args":["true"]}`)
	h.finish(t, job.ID, schemas.Result{Outcome: exitCode(0)}, output{name: "a.txt", content: "hello"})
	rec, err := h.jobs.Get(t.Context(), schemas.SingleTenant, job.ID)
	if err != nil {
		t.Fatal(err)
	}
	rec.PurgedUS = time.Now().UnixMicro()
	h.jobs.set(rec)
	for _, path := range []string{"/outputs", "/outputs/a.txt", "/logs"} {
		h.refused(t, kindExpired, "GET", "/v1/jobs/"+job.ID+path, "")
	}
	got := ask[schemas.Job](t, h, http.StatusOK, "GET", "/v1/jobs/"+job.ID, "")
	if got.Purged != rec.PurgedUS || got.Outcome == nil || got.Result != nil || got.Spec == nil {
		t.Errorf("job = %+v", got)
	}
}

// TestExpiresMeanwhile: its objects are gone, and the record that was read just before does not say so.
func TestExpiresMeanwhile(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/outputs", "/outputs/a.txt", "/logs", ""} {
		store := &sweptStore{}
		h := start(t, func(c *Config) { store.Store, c.Store = c.Store, store })
		job := h.submit(t, `{"image":"gcc:14","args":["true"]}`)
		h.finish(t, job.ID, schemas.Result{Outcome: exitCode(0)}, output{name: "a.txt", content: "hello"})
		store.before = func() {
			rec, err := h.jobs.Get(t.Context(), schemas.SingleTenant, job.ID)
			if err != nil {
				t.Error(err)
			}
			rec.PurgedUS = 7
			h.jobs.set(rec)
		}
		if path != "" {
			h.refused(t, kindExpired, "GET", "/v1/jobs/"+job.ID+path, "")
			continue
		}
		if got := ask[schemas.Job](t, h, http.StatusOK, "GET", "/v1/jobs/"+job.ID, ""); got.Purged != 7 || got.Result != nil || len(got.Lost) != 1 || got.Lost[0] != schemas.LostSpec {
			t.Errorf("job = %+v", got)
		}
	}
}

// sweptStore has nothing, and says so after something was done.
type sweptStore struct {
	objstore.Store
	before func()
}

func (s *sweptStore) Get(ctx context.Context, key string, r objstore.Range) (io.ReadCloser, objstore.Info, error) {
	if s.before == nil {
		return s.Store.Get(ctx, key, r)
	}
	s.before()
	return nil, objstore.Info{}, objstore.ErrNotFound
}
