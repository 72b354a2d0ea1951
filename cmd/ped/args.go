package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// noArgs is cobra.NoArgs with this program's exit code for mistakes.
func noArgs(cmd *cobra.Command, args []string) error { return exactly(0)(cmd, args) }

// exactly wants n arguments.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("want %d arguments, have %d: %s", n, len(args), cmd.UseLine())}
		}
		return nil
	}
}

// atLeast wants n arguments or more.
func atLeast(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usageError{fmt.Errorf("want at least %d arguments, have %d: %s", n, len(args), cmd.UseLine())}
		}
		return nil
	}
}

// require marks flags that a command can't do without.
func require(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic("ped: " + err.Error())
		}
	}
}
