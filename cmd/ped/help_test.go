package main

import (
	"io"
	"testing"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/internal/helptest"
)

// TestHelp: every command shows how it is used, in lines that it takes.
func TestHelp(t *testing.T) {
	t.Parallel()
	helptest.Check(t, func() *cobra.Command {
		a := &app{stdout: io.Discard, stderr: io.Discard}
		return a.root()
	}, "ped version")
}
