package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// withOrigin runs a job and has the cache know its result.
func (h *harness) withOrigin(t *testing.T) schemas.Job {
	t.Helper()
	job := h.submit(t, `{"image":"gcc","args":["make"]}`)
	result := schemas.Result{Outcome: exitCode(0), Stdout: schemas.Stdio{Text: "hello\n", Bytes: 6}}
	h.finish(t, job.ID, result, output{name: "a.out", content: "binary"})
	origin, err := h.jobs.Get(t.Context(), schemas.SingleTenant, job.ID)
	if err != nil {
		t.Fatal(err)
	}
	h.jobs.mu.Lock()
	defer h.jobs.mu.Unlock()
	h.jobs.origin = &origin
	return job
}

// TestACachedJob: it is there at once, whole, though its inputs and machines are not.
func TestACachedJob(t *testing.T) {
	t.Parallel()
	h := start(t)
	origin := h.withOrigin(t)
	h.jobs.fleet = []schemas.Executor{{Facts: schemas.Facts{Executor: "arm", Offers: []schemas.Offering{{Arch: "arm64", Isolation: "vm"}}}, State: "up"}}
	const spec = `{"image":"gcc","args":["make"],"cache":"use","requires":{"arch":"amd64"},"files":{"in":{"sha256":"` + testDigest + `"}}}`
	job := ask[schemas.Job](t, h, http.StatusOK, "POST", "/v1/jobs", spec)
	if job.ID == origin.ID || job.Cached == nil || job.Cached.Job != origin.ID || job.State != schemas.StateSucceeded || job.Result == nil || job.Spec == nil {
		t.Fatalf("%+v", job)
	}
	if r := job.Result; r.Stdout.Text != "hello\n" || r.Job != origin.ID || len(r.Spans) != 0 {
		t.Errorf("result %+v", r)
	}
	if text := h.text(t, "/v1/jobs/"+job.ID+"/logs?stream=stdout"); text != "hello\n" {
		t.Errorf("stdout is %q", text)
	}
	if text := h.text(t, "/v1/jobs/"+job.ID+"/outputs/a.out"); text != "binary" {
		t.Errorf("a.out is %q", text)
	}
	list := ask[schemas.OutputList](t, h, http.StatusOK, "GET", "/v1/jobs/"+job.ID+"/outputs", "", "Accept", "application/json")
	if len(list.Outputs) != 1 {
		t.Errorf("outputs %+v", list)
	}
	if events := h.text(t, "/v1/jobs/"+job.ID+"/logs?follow=1"); !strings.Contains(events, "event: end\n") {
		t.Errorf("events:\n%s", events)
	}
	h.refused(t, kindNoExecutor, "POST", "/v1/jobs", `{"image":"gcc","requires":{"arch":"amd64"}}`)
	if page := ask[schemas.JobList](t, h, http.StatusOK, "GET", "/v1/jobs", ""); page.Jobs[0].Cached == nil {
		t.Errorf("listed as %+v", page.Jobs[0])
	}
}

// TestWhoAsksTheCache: the specification, or else the catalog.
func TestWhoAsksTheCache(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		catalog, spec string
		hit           bool
	}{
		{"", "", false},
		{"", `,"cache":"use"`, true},
		{"", `,"cache":"refresh"`, false},
		{schemas.CacheUse, "", true},
		{schemas.CacheUse, `,"cache":"bypass"`, false},
		{schemas.CacheUse, `,"cache":"refresh"`, false},
	} {
		h := start(t, func(c *Config) {
			ask := c.Resolve
			c.Resolve = func(ctx context.Context, reference string) (ResolvedImage, error) {
				image, err := ask(ctx, reference)
				image.Cache = test.catalog
				return image, err
			}
		})
		h.withOrigin(t)
		status := map[bool]int{true: http.StatusOK, false: http.StatusAccepted}[test.hit]
		if job := ask[schemas.Job](t, h, status, "POST", "/v1/jobs", `{"image":"gcc"`+test.spec+`}`); (job.Cached != nil) != test.hit {
			t.Errorf("catalog %q, specification %q: cached %+v", test.catalog, test.spec, job.Cached)
		}
	}
}

// TestMissingInputs: a refusal lists what is to be uploaded, if that is all.
func TestMissingInputs(t *testing.T) {
	t.Parallel()
	h := start(t)
	const files = `"files":{"a":{"sha256":"` + testDigest + `"},"b":{"sha256":"` + testDigest + `"}}`
	p := h.refused(t, kindInvalid, "POST", "/v1/jobs", `{"image":"gcc","cache":"use",`+files+`}`)
	if len(p.Missing) != 1 || p.Missing[0] != testDigest || len(p.Problems) != 2 {
		t.Errorf("%+v", p)
	}
	if p = h.refused(t, kindInvalid, "POST", "/v1/jobs", `{"image":"gcc","cwd":"x",`+files+`}`); len(p.Missing) != 0 || len(p.Problems) != 3 {
		t.Errorf("%+v", p)
	}
	h.refused(t, kindUnknownImage, "POST", "/v1/jobs", `{"image":"nothing",`+files+`}`)
}

func TestCacheRoutes(t *testing.T) {
	t.Parallel()
	h := start(t)
	if info := ask[schemas.CacheInfo](t, h, http.StatusOK, "GET", "/v1/cache", ""); info.Entries != 3 || info.Hits != 2 {
		t.Errorf("%+v", info)
	}
	if info := ask[schemas.CacheInfo](t, h, http.StatusOK, "DELETE", "/v1/cache", ""); info.ClearedUS != 1 {
		t.Errorf("%+v", info)
	}
}
