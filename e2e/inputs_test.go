package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestInputsThatWouldEscape are refused, each by its place in the
// specification: by the client, and by the gateway when the client is not asked.
func TestInputsThatWouldEscape(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, path := range []string{"../x", "a/../../x", "/proc/1/mem", "/sys/x", "/dev/vda", "a//b", "/", "a/\x00b"} {
		spec, err := json.Marshal(map[string]any{"image": "busybox", "args": []string{"true"}, "files": map[string]string{path: "x"}})
		if err != nil {
			t.Fatal(err)
		}
		s.peIn(t, t.TempDir(), spec, "run", "--spec", "-").want(t, 125).says(t, "files[")
		status, problem := s.post(t, string(spec), nil)
		if status != 422 || len(problem.Problems) != 1 || problem.Problems[0].Pointer[:7] != "/files/" {
			t.Errorf("%q: status %d, problem %+v", path, status, problem)
		}
	}
}

// TestFolderThatLinksOut: a folder from a stranger takes nothing along from outside.
func TestFolderThatLinksOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "in"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "in", "link")); err != nil {
		t.Fatal(err)
	}
	shared(t).peIn(t, dir, nil, "run", "--image", "busybox", "-f", "in", "--", "true").want(t, 125).says(t, "link")
}

// TestUnknownBlob: an input that nobody sent.
func TestUnknownBlob(t *testing.T) {
	t.Parallel()
	absent := "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	status, problem := shared(t).post(t, `{"image":"busybox","args":["true"],"files":{"x":{"sha256":"`+absent+`"}}}`, nil)
	if status < 400 || status >= 500 || len(problem.Problems) != 1 || problem.Problems[0].Pointer != "/files/x/sha256" {
		t.Errorf("status %d, problem %+v", status, problem)
	}
}
