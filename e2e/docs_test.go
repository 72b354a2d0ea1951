package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocumentedSessions runs what the documentation shows, block by block, as a reader would.
func TestDocumentedSessions(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, c := range []struct{ file, section string }{
		{"docs/getting-started.md", "## Your first jobs"},
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

func runDocumented(t *testing.T, s server, script string) {
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
	if e.code != 0 {
		t.Errorf("exit code %d", e.code)
	}
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
