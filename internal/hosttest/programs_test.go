package hosttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestProgram builds one and runs it.
func TestProgram(t *testing.T) {
	t.Parallel()
	programs, err := Build{Into: t.TempDir(), Packages: []string{"./testdata/program"}}.Static().Make()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), programs.Path("program")).Output()
	if err != nil || string(out) != "a word from within\n" {
		t.Errorf("said %q, %v", out, err)
	}
}

func TestProgramThatDoesNotBuild(t *testing.T) {
	t.Parallel()
	_, err := Build{Into: t.TempDir(), Packages: []string{"./testdata/none"}}.Make()
	if err == nil || !strings.Contains(err.Error(), "testdata/none") {
		t.Errorf("got %v", err)
	}
}

// TestSourcesAreNoted runs TestProgram as `go test` does, which has a test write down the
// files that it opens: its cached verdict is void when one of them has changed.
func TestSourcesAreNoted(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "opened")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProgram$", "-test.testlogfile="+log)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	opened, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"testdata/program/main.go", "testdata/program/said.txt", "../../go.mod", "../../go.sum"} {
		path, err := filepath.Abs(source)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(opened), "open "+path+"\n") {
			t.Errorf("not noted: %s", source)
		}
	}
}
