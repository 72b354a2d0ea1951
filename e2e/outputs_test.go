package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

const hostileOutputs = `
cd /output
echo kept > plain
ln -s plain inside
ln -s ../etc/passwd outside
ln -s /etc/passwd absolute
ln -s deep/../../etc/passwd winding
mkfifo pipe
mknod device b 253 0 2>/dev/null
mkdir -p deep/er && echo kept > deep/er/file
echo kept > "$(printf 'new\nline')"
echo kept > "$(printf 'bad\377utf8')"
echo kept > ..dots
`

// TestHostileOutputs: what is harmless comes back, the rest is named.
func TestHostileOutputs(t *testing.T) {
	t.Parallel()
	s, dir := shared(t), t.TempDir()
	e := s.peIn(t, dir, nil, "run", "--json", "--image", "busybox", "--output", "out", "--", "sh", "-c", hostileOutputs).want(t, 0)
	for _, name := range []string{"plain", "inside", "deep/er/file", "new\nline", "bad\xffutf8", "..dots"} {
		if got := string(read(t, dir, "out/"+name)); got != "kept\n" {
			t.Errorf("%q holds %q", name, got)
		}
	}
	refused := []string{"outside", "absolute", "winding", "pipe"}
	for _, name := range append(refused, "device") {
		if exists(dir, "out/"+name) {
			t.Errorf("%s came back", name)
		}
	}
	var job schemas.Job
	if err := json.Unmarshal([]byte(e.stdout), &job); err != nil {
		t.Fatal(err)
	}
	skipped := map[string]string{}
	for _, k := range job.Result.Skipped {
		skipped[k.Path] = k.Reason
	}
	for _, name := range refused {
		if skipped[name] == "" {
			t.Errorf("%s is not named among what was skipped: %v", name, skipped)
		}
	}
}

// TestManyOutputs sends 100,000 files back.
func TestManyOutputs(t *testing.T) {
	t.Parallel()
	slow(t)
	s, dir := shared(t), t.TempDir()
	s.peIn(t, dir, nil, "run", "--image", "busybox", "--wall", "20m", "--scratch", "1G", "--memory", "1G", "--output", "out", "--",
		"sh", "-c", `cd /output && seq 1 100000 | xargs touch`).want(t, 0)
	entries, err := os.ReadDir(filepath.Join(dir, "out"))
	if err != nil || len(entries) != 100_000 {
		t.Errorf("%d files came back, want 100,000 (%v)", len(entries), err)
	}
}

// TestOutputPageIsHarmless: a page that a job made, opened from the API's
// address. That a browser obeys these headers is shown beside the API.
func TestOutputPageIsHarmless(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.submit(t, `echo '<script>fetch("/v1/jobs")</script>' > /output/page.html`)
	s.wait(t, id, schemas.StateSucceeded)
	resp, err := http.Get(s.url + "/v1/jobs/" + id + "/outputs/page.html")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	h := resp.Header
	if resp.StatusCode != http.StatusOK || h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") ||
		!strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox;") || strings.Contains(h.Get("Content-Security-Policy"), "allow-scripts") {
		t.Errorf("%s, headers %v", resp.Status, h)
	}
}
