// Command pe submits jobs and fetches their results; see pe --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/program-explorer/pe/producer/cli"
)

// version is set by the linker; without, it is the module's.
var version string

func main() {
	if version == "" {
		version = moduleVersion()
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM)
	if !signal.Ignored(os.Interrupt) { // a shell's background job
		signal.Notify(signals, os.Interrupt)
	}
	// A closed stdout is an error of the write, so that the job can be cancelled.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(cli.Main(context.Background(), cli.Process{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Signals: signals, Version: version,
	}))
}

// moduleVersion is what the go command recorded, for pe that `go install` built.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
