// Command ped is Program Explorer's daemon, one version with a role for each
// subcommand: everything in one process (up), the gateway, an executor; and
// the tools of an operator: images, guests, doctor, config.
//
// It turns flags, environment and the configuration file into the Configs of
// the packages that do the work, and runs them. It holds no logic of its own.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := untilStopped()
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// untilStopped is done at the first SIGINT or SIGTERM; a second one then ends
// the process at once, in case a clean shutdown hangs.
func untilStopped() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-signals; !ok {
			return
		}
		cancel()
		if s, ok := <-signals; ok {
			fmt.Fprintln(os.Stderr, "ped: second signal, stopping at once")
			os.Exit(128 + int(s.(syscall.Signal)))
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel()
	}
}

// Exit codes, as the help text gives them.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	a := &app{environ: environ, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitFailed
	case errors.As(err, &usage) || !a.started:
		fmt.Fprintf(stderr, "ped: %v\n", err)
		return exitUsage
	case errors.Is(err, syscall.EADDRINUSE):
		fmt.Fprintf(stderr, "ped: %v: stop what uses it (ss -ltnp shows), or choose another address with %s\n", err, cmp.Or(a.listens, "--listen"))
		return exitFailed
	default:
		fmt.Fprintf(stderr, "ped: %v\n", err)
		return exitFailed
	}
}

// errReported is for commands that have said themselves what is wrong.
var errReported = errors.New("reported")

// usageError is a mistake in the command line or the configuration.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }
