package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/program-explorer/pe/schemas"
)

func TestSubmitStoresAWholeSpecification(t *testing.T) {
	t.Parallel()
	h := start(t)
	resp := h.request(t, "POST", "/v1/jobs", `{"image":"gcc","args":["gcc","--version"]}`)
	if resp.StatusCode != http.StatusAccepted || !strings.HasPrefix(resp.Header.Get("Location"), "/v1/jobs/j") {
		t.Fatalf("status %d, location %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	job := ask[schemas.Job](t, h, http.StatusOK, "GET", resp.Header.Get("Location"), "")
	if job.State != schemas.StateQueued || job.Spec == nil || job.Spec.Cwd != "/work" || job.Spec.Limits.WallMS != 60000 {
		t.Fatalf("job %+v, spec %+v", job, job.Spec)
	}
	// The image lists riscv64 first, but only amd64 is served.
	if job.Spec.Requires.Arch != "amd64" || job.Image.Digest != testDigest || job.Tenant != schemas.SingleTenant {
		t.Fatalf("arch %q, image %+v, tenant %q", job.Spec.Requires.Arch, job.Image, job.Tenant)
	}
}

func TestSubmitRefuses(t *testing.T) {
	t.Parallel()
	h := start(t)
	missing := "sha256:" + strings.Repeat("ab", 32)
	cases := []struct {
		name, spec string
		want       kind
		says       string
	}{
		{"nothing", ``, kindMalformed, ""},
		{"not json", `{"image":`, kindMalformed, "line 1"},
		{"trailing data", `{"image":"gcc"} {}`, kindMalformed, ""},
		{"unknown member", `{"image":"gcc","comand":["x"]}`, kindInvalid, "/comand"},
		{"wrong type", `{"image":7}`, kindInvalid, "/image"},
		{"no image", `{}`, kindInvalid, "/image"},
		{"missing blob", `{"image":"gcc","files":{"a/b":{"sha256":"` + missing + `"}}}`, kindInvalid, "/files/a~1b/sha256"},
		{"unknown image", `{"image":"nosuch"}`, kindUnknownImage, "404"},
		{"forbidden image", `{"image":"forbidden"}`, kindImageForbidden, "catalog"},
		{"registry down", `{"image":"unreachable"}`, kindRegistry, "refused"},
		{"arch that the image lacks", `{"image":"gcc","requires":{"arch":"arm64"}}`, kindImageArch, "it has riscv64, amd64"},
		{"image for no arch of ours", `{"image":"mips"}`, kindImageArch, "mips64le"},
		{"nobody offers the arch", `{"image":"armonly"}`, kindNoExecutor, "on offer: amd64 vm tcg"},
		{"nobody offers the isolation", `{"image":"gcc","requires":{"isolation":"gvisor"}}`, kindNoExecutor, "gvisor"},
		{"too large", `{"image":"gcc","args":["` + strings.Repeat("x", 1<<20) + `"]}`, kindTooLarge, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := h.refused(t, c.want, "POST", "/v1/jobs", c.spec)
			if !strings.Contains(p.Detail, c.says) {
				t.Errorf("detail %q does not say %q", p.Detail, c.says)
			}
		})
	}
	if list := ask[schemas.JobList](t, h, http.StatusOK, "GET", "/v1/jobs", ""); len(list.Jobs) != 0 {
		t.Errorf("refused submissions left %d jobs", len(list.Jobs))
	}
}

func TestSubmitListsAllProblems(t *testing.T) {
	t.Parallel()
	h := start(t)
	missing := "sha256:" + strings.Repeat("cd", 32)
	p := h.refused(t, kindInvalid, "POST", "/v1/jobs",
		`{"image":"", "cwd":"relative", "lane":"fast", "files":{"x":{"sha256":"`+missing+`"}}, "extra":1}`)
	var at []string
	for _, one := range p.Problems {
		at = append(at, one.Pointer)
	}
	for _, want := range []string{"/image", "/cwd", "/lane", "/files/x/sha256", "/extra"} {
		if !slices.Contains(at, want) {
			t.Errorf("problems at %v, none at %s", at, want)
		}
	}
}

func TestSubmitFillsInSizes(t *testing.T) {
	t.Parallel()
	h := start(t)
	sum := sha256.Sum256([]byte("hello"))
	digits := hex.EncodeToString(sum[:])
	ask[schemas.Blob](t, h, http.StatusCreated, "PUT", "/v1/blobs/"+digits, "hello")
	job := h.submit(t, `{"image":"gcc","files":{"a":{"sha256":"sha256:`+digits+`"}}}`)
	if got := job.Spec.Files["a"].Size; got != 5 {
		t.Errorf("size %d, want 5", got)
	}
}

func TestSubmitWithoutExecutorsWaits(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.jobs.fleet = nil
	if job := h.submit(t, `{"image":"armonly"}`); !strings.Contains(job.Waiting, "no executor") {
		t.Errorf("waiting %q", job.Waiting)
	}
	h.jobs.fleet = []schemas.Executor{{State: "lost", Facts: schemas.Facts{Offers: []schemas.Offering{{Arch: "arm64", Isolation: "vm"}}}}}
	h.submit(t, `{"image":"armonly"}`) // one that is lost may come back
}

func TestSubmitWaits(t *testing.T) {
	t.Parallel()
	h := start(t)
	first := h.submit(t, `{"image":"gcc"}`)
	running := ask[schemas.Job](t, h, http.StatusOK, "GET", "/v1/jobs/"+first.ID+"?wait=10ms", "")
	if running.State != schemas.StateQueued {
		t.Fatalf("state %s", running.State)
	}
	ask[schemas.Job](t, h, http.StatusAccepted, "POST", "/v1/jobs?wait=1ms", `{"image":"gcc"}`)
	done := make(chan schemas.Job)
	go func() {
		done <- ask[schemas.Job](t, h, http.StatusOK, "GET", "/v1/jobs/"+first.ID+"?wait=1m", "")
	}()
	h.finish(t, first.ID, schemas.Result{Outcome: exitCode(3), Stdout: schemas.Stdio{Text: "hi\n", Bytes: 3}})
	job := <-done
	if job.State != schemas.StateFailed || job.Result == nil || job.Result.Stdout.Text != "hi\n" || *job.Outcome.ExitCode != 3 {
		t.Fatalf("job %+v", job)
	}
	if job.Attempts[0].Nonce != "" {
		t.Error("the claim's nonce is shown")
	}
	h.refused(t, kindMalformed, "GET", "/v1/jobs/"+first.ID+"?wait=soon", "")
	// With as many long polls as there may be, another is refused, and a job is submitted without one.
	h.api.waits.fill(schemas.SingleTenant)
	h.refused(t, kindTooManyStreams, "GET", "/v1/jobs/"+first.ID+"?wait=1m", "")
	ask[schemas.Job](t, h, http.StatusAccepted, "POST", "/v1/jobs?wait=1m", `{"image":"gcc"}`)
	h.refused(t, kindMalformed, "POST", "/v1/jobs?wait=-1s", `{"image":"gcc"}`)
}

// fill has a tenant open as much as there may be, once nothing is.
func (s *streams) fill(tenant string) {
	for filled := false; !filled; runtime.Gosched() {
		s.mu.Lock()
		if filled = s.open[tenant] == 0; filled {
			s.open[tenant] = s.most
		}
		s.mu.Unlock()
	}
}

func TestDrainEndsPolls(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := h.submit(t, `{"image":"gcc"}`).ID
	done := make(chan int)
	go func() { done <- h.request(t, "GET", "/v1/jobs/"+id+"?wait=1m", "").StatusCode }()
	h.api.Drain()
	if status := <-done; status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}

func TestUploadBreaksOff(t *testing.T) {
	t.Parallel()
	h := start(t)
	req, err := http.NewRequestWithContext(t.Context(), "PUT", h.url+"/v1/blobs/"+strings.Repeat("0", 64), iotest.TimeoutReader(strings.NewReader(strings.Repeat("x", 1<<16))))
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
		resp.Body.Close()
		t.Fatal("a broken upload was answered")
	}
	if _, err := h.store.Stat(t.Context(), schemas.InputKey("local", strings.Repeat("0", 64))); err == nil {
		t.Error("a broken upload left an object")
	}
}
