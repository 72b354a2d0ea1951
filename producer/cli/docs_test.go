package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestPageShowsTheTables: the examples have the columns that the commands print.
func TestPageShowsTheTables(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range [][]string{runColumns, executorColumns} {
		found := false
		for line := range strings.Lines(string(page)) {
			found = found || strings.Join(strings.Fields(line), " ") == strings.Join(head, " ")
		}
		if !found {
			t.Errorf("docs/cli.md shows no table of %v", head)
		}
	}
}

// TestPageHasEveryCommandAndFlag holds docs/cli.md to the command.
func TestPageHasEveryCommandAndFlag(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{Process: Process{Getenv: func(string) string { return "" }}, screen: newScreen(nil, nil)}
	root := a.root()
	flag := func(f *pflag.Flag) {
		if !strings.Contains(string(page), "--"+f.Name) || f.Shorthand != "" && !strings.Contains(string(page), "-"+f.Shorthand) {
			t.Errorf("docs/cli.md does not have --%s", f.Name)
		}
	}
	root.PersistentFlags().VisitAll(flag)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if !strings.Contains(string(page), "`"+cmd.CommandPath()) {
			t.Errorf("docs/cli.md does not have %s", cmd.CommandPath())
		}
		if cmd.Short == "" {
			t.Errorf("%s has no help", cmd.CommandPath())
		}
		cmd.Flags().VisitAll(flag)
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
}
