package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/program-explorer/pe/internal/hosttest"
)

// TestDocumentedSessions runs what the documentation shows, block by block, as a reader would.
func TestDocumentedSessions(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, c := range []struct{ file, section string }{
		{"docs/getting-started.md", "## Your first jobs"},
		{"docs/getting-started.md", "## On unlike machines"},
		{"docs/getting-started.md", "## From a program"},
	} {
		blocks := codeBlocks(t, c.file, c.section)
		if len(blocks) == 0 {
			t.Errorf("%s shows nothing under %q", c.file, c.section)
		}
		for _, block := range blocks {
			runDocumented(t, s.server, block)
		}
	}
}

// TestREADMESession runs the README's first command on the demonstration's own program.
func TestREADMESession(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```console\n$ ")
	command, rest, found := strings.Cut(rest, "\n")
	shown, _, _ := strings.Cut(rest, "\n\n")
	words, isRun := strings.CutPrefix(command, "pe run ")
	if !found || !isRun {
		t.Fatalf("the README's first command is %q, want pe run …", command)
	}
	demo, err := filepath.Abs("../deploy/demo/main.c")
	if err != nil {
		t.Fatal(err)
	}
	e := runDocumented(t, shared(t).server, "cp "+demo+" . && bin/pe run "+words)
	for line := range strings.Lines(shown) {
		// Kernel and sizes change with what it runs on.
		if !strings.Contains(line, "Linux") && !strings.HasPrefix(line, "pe: ") && !strings.Contains(e.stdout, line) {
			t.Errorf("the README shows %q", line)
		}
	}
}

func runDocumented(t *testing.T, s server, script string) ended {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "main.c", []byte(helloC))
	if err := os.Symlink(bin, filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", strings.ReplaceAll(script, "http://127.0.0.1:7300", s.url))
	cmd.Dir = dir
	cmd.Env = environment("PE_SERVER=" + s.url)
	e := runCommand(t, cmd)
	t.Logf("%s\n%s%s", script, e.stdout, e.stderr)
	return e.want(t, 0)
}

// codeBlocks are the indented blocks of a section of a Markdown file.
func codeBlocks(t *testing.T, file, section string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), section+"\n")
	if !found {
		t.Fatalf("%s has no section %q", file, section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var blocks []string
	var block strings.Builder
	for line := range strings.Lines(rest + "\n\n") {
		code, indented := strings.CutPrefix(line, "    ")
		if indented {
			block.WriteString(code)
		} else if block.Len() > 0 {
			blocks = append(blocks, block.String())
			block.Reset()
		}
	}
	return blocks
}

// TestDocumentedClient runs the example of a client on a file that no gateway has yet.
func TestDocumentedClient(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		hosttest.Missing(t, "%v: run deploy/setup.sh --for test", err)
	}
	example, err := filepath.Abs("../docs/examples/client.py")
	if err == nil {
		_, err = os.Stat(example) // so that `go test` knows what its verdict is about
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "names", []byte("carol\nalice\nbob\n"))
	cmd := exec.CommandContext(t.Context(), python, example, "names")
	cmd.Dir = dir
	cmd.Env = environment("PE_SERVER=" + shared(t).url)
	if e := runCommand(t, cmd).want(t, 0); strings.TrimSpace(e.stdout) != "3" {
		t.Errorf("it passed on %q", e.stdout)
	}
	if sorted, err := os.ReadFile(filepath.Join(dir, "sorted.txt")); err != nil || string(sorted) != "alice\nbob\ncarol\n" {
		t.Errorf("sorted.txt has %q, %v", sorted, err)
	}
}
