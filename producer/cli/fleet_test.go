package cli_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/noop"
	"github.com/program-explorer/pe/gateway/api"
	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/producer/cli"
	"github.com/program-explorer/pe/schemas"
)

// patience bounds every wait for what must happen.
const patience = 60 * time.Second

// fleet is a real gateway with real executors. Only their machines run nothing.
type fleet struct {
	testing.TB
	url   string
	queue *queuetest.Server
}

func startFleet(t testing.TB, executors ...string) *fleet {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	f := &fleet{TB: t, queue: queuetest.Start(t, executors...)}
	var serve http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve.ServeHTTP(w, r) }))
	store, err := dir.Open(dir.Config{Path: t.TempDir(), BaseURL: func() string { return server.URL + "/v1/objects/" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	jobs, err := coordinator.New(coordinator.Config{Queue: f.queue.Gateway(t, quiet), Store: store, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	serve, err = api.New(api.Config{Jobs: jobs, Store: store, Objects: http.StripPrefix("/v1/objects", store.Handler()), Resolve: everyArch, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	f.background(jobs.Run)
	t.Cleanup(server.Close)
	f.url = server.URL
	f.eventually("the gateway is ready", func() bool { return jobs.Ready() == nil })
	return f
}

// everyArch is an image that is there for all.
func everyArch(_ context.Context, reference string) (api.ResolvedImage, error) {
	return api.ResolvedImage{Reference: reference, Digest: "sha256:" + strings.Repeat("0", 64), Archs: schemas.Archs}, nil
}

// background runs until the test ends.
func (f *fleet) background(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() {
		if err := run(ctx); err != nil && ctx.Err() == nil {
			f.Error(err)
		}
	})
	f.Cleanup(func() { cancel(); over.Wait() })
}

func (f *fleet) eventually(what string, ok func() bool) {
	f.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatalf("not in %s: %s", patience, what)
		}
	}
}

// executor starts one with a no-op runner for each configuration.
func (f *fleet) executor(id string, labels map[string]string, kinds ...noop.Config) {
	f.Helper()
	var runners []executor.Runner
	for _, kind := range kinds {
		r, err := noop.New(kind)
		if err != nil {
			f.Fatal(err)
		}
		runners = append(runners, r)
	}
	quiet := slog.New(slog.DiscardHandler)
	e, err := executor.New(executor.Config{
		ID: id, Dir: f.TempDir(), Queue: f.queue.Executor(f, id, quiet), Images: noop.Images{}, Runners: runners, Labels: labels,
		Slots: len(kinds), Grace: time.Millisecond, Log: quiet,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.background(e.Run)
	<-e.Registered()
}

// said is what a command left behind.
type said struct {
	code           int
	stdout, stderr string
}

// pe runs the command in this process, in a folder of its own for outputs.
func (f *fleet) pe(signals <-chan os.Signal, args ...string) said {
	f.Helper()
	stdout, stderr := f.file(), f.file()
	code := cli.Main(f.Context(), cli.Process{
		Args: args, Stdout: stdout, Stderr: stderr, Signals: signals, Version: "v1",
		Getenv: func(name string) string { return map[string]string{"PE_SERVER": f.url}[name] },
	})
	return said{code, f.read(stdout), f.read(stderr)}
}

func (f *fleet) file() *os.File {
	f.Helper()
	file, err := os.CreateTemp(f.TempDir(), "")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { file.Close() })
	return file
}

func (f *fleet) read(file *os.File) string {
	f.Helper()
	text, err := os.ReadFile(file.Name())
	if err != nil {
		f.Fatal(err)
	}
	return string(text)
}

// want fails the test unless the code is this and the output matches all patterns.
func (s said) want(t *testing.T, code int, patterns ...string) {
	t.Helper()
	if s.code != code {
		t.Errorf("exit code %d, want %d", s.code, code)
	}
	for _, p := range patterns {
		if !regexp.MustCompile("(?m)" + p).MatchString(s.stdout + s.stderr) {
			t.Errorf("nothing matches %s", p)
		}
	}
	if t.Failed() {
		t.Fatalf("stdout:\n%s\nstderr:\n%s", s.stdout, s.stderr)
	}
}
