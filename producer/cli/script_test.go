package cli_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/program-explorer/pe/producer/cli"
	"github.com/program-explorer/pe/producer/internal/canned"
)

// TestMain makes this test program the pe command too, for the scripts to run.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pe": func() {
		signals := make(chan os.Signal, 2)
		signal.Notify(signals, syscall.SIGTERM)
		signal.Ignore(syscall.SIGPIPE)
		os.Exit(cli.Main(context.Background(), cli.Process{
			Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
			Getenv: os.Getenv, Signals: signals, Version: "v1.2.3",
		}))
	}})
}

// TestScripts run the real command against a gateway that answers from a script.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			gateway := canned.Start(env.T().(testing.TB))
			gateway.WantToken.Store(true)
			env.Setenv("PE_SERVER", gateway.URL)
			env.Setenv("PE_TOKEN", canned.Token)
			env.Values["gateway"] = gateway
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":  code,
			"busy":  func(ts *testscript.TestScript, _ bool, _ []string) { ts.Value("gateway").(*canned.Gateway).Busy(2) },
			"asked": asked,
			"fleet": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Value("gateway").(*canned.Gateway).Fleet(canned.FiveKinds())
			},
		},
		RequireUniqueNames: true,
		UpdateScripts:      os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// code runs a command and wants an exit code: code 124 pe run …
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// asked wants a number of requests: asked 2 'PUT /v1/blobs'
func asked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: asked N PREFIX")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	for _, r := range ts.Value("gateway").(*canned.Gateway).Requests() {
		if strings.HasPrefix(r, args[1]) {
			got++
		}
	}
	if got != want {
		ts.Fatalf("asked %d times, want %d: %s", got, want, args[1])
	}
}
