package api

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// browser is a real browser that has yet to be started, in a process group of its own.
func browser(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("PE_REQUIRE_ALL") == "1" {
			t.Fatal("chromium is missing: install Debian's package chromium")
		}
		t.Skip("chromium is missing: what a real browser does with an output page is not tested")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--user-data-dir=" + t.TempDir()}, args...)...)
	cmd.Dir = t.TempDir()                                 // where it would save a download
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // where it leaves its lock when it is killed
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// dump opens a page and returns what its document has become.
func dump(t *testing.T, address string) string {
	t.Helper()
	out, err := browser(t, "--virtual-time-budget=2000", "--dump-dom", address).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// visit opens an address that may become a download, at which a browser
// without a window never says that it is done: so it is given a while from
// when it has asked, and ended.
func (h *harness) visit(t *testing.T, address, asked string) {
	t.Helper()
	cmd := browser(t, "--remote-debugging-port=0", address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(h.logged(), asked); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("the browser did not ask for %s", asked)
			break
		}
	}
	time.Sleep(time.Second) // a script would have run by then: see the page without protection
	if err := cmd.Cancel(); err != nil {
		t.Error(err)
	}
	cmd.Wait() // killed
}

// beacon is a page whose script reports to the address it came from, in every
// way that could do harm: it rewrites itself, calls the API, and submits a form.
const beacon = `<!doctype html><title>still</title><body><p id=p>untouched</p>
<script>document.title='ran';document.getElementById('p').textContent='ran';
fetch('/v1/jobs',{method:'POST',headers:{'Content-Type':'application/json'},body:'{"image":"gcc"}'});new Image().src='/livez?script=ran';</script>
<img src="/livez?image=loaded" onerror="document.title='ran'">
<form id=f method=post action=/v1/jobs></form><script>f.submit()</script></body>`

// TestOutputPagesRunNothing opens outputs with script in them from the API's own
// address, where a script would be of the same origin as the API.
func TestOutputPagesRunNothing(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := h.submit(t, `{"image":"gcc"}`).ID
	h.finish(t, id, schemas.Result{Outcome: exitCode(0)},
		output{name: "page.html", content: beacon},
		output{name: "draw.svg", content: `<svg xmlns="http://www.w3.org/2000/svg"><script>fetch('/livez?script=ran')</script></svg>`},
		output{name: "page.xhtml", content: `<html xmlns="http://www.w3.org/1999/xhtml"><script>fetch('/livez?script=ran')</script></html>`},
	)
	at := h.url + "/v1/jobs/" + id + "/outputs/"
	if page := dump(t, h.url+"/"); !strings.Contains(page, "Program Explorer") {
		t.Fatalf("the browser does not show the API's own page: %q", page)
	}
	for _, name := range []string{"page.html", "draw.svg", "page.xhtml"} {
		h.visit(t, at+name, "outputs/"+name)
	}
	// The same headers without the disposition: the sandbox alone must do.
	head := h.request(t, "GET", "/v1/jobs/"+id+"/outputs/page.html", "").Header
	head.Del("Content-Disposition")
	head.Del("Content-Length")
	if page := dump(t, h.page(t, "/shown", head, beacon)); strings.Contains(page, ">ran<") || !strings.Contains(page, "untouched") {
		t.Errorf("shown in place, its script ran, or the test shows nothing: %s", page)
	}
	if strings.Contains(h.logged(), "path=/livez") {
		t.Errorf("an output's page reached the API:\n%s", h.logged())
	}
	if list := ask[schemas.JobList](t, h, http.StatusOK, "GET", "/v1/jobs", ""); len(list.Jobs) != 1 {
		t.Errorf("an output's page submitted %d jobs", len(list.Jobs)-1)
	}
	// Without protection the page does harm: the test would see it.
	h.visit(t, h.page(t, "/unprotected", nil, beacon), "path=/livez")
}

// page serves a page at the API's own address and returns where.
func (h *harness) page(t *testing.T, path string, header http.Header, body string) string {
	t.Helper()
	h.api.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for name, values := range header {
			w.Header()[name] = values
		}
		io.WriteString(w, body)
	})
	return h.url + path
}
