package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/imagesync/imagetest"
	"github.com/program-explorer/pe/internal/roles"
	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// refused runs ped up, which must fail, and returns what it says.
func refused(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), append([]string{"up"}, args...), nil, &stdout, &stderr); code == exitOK {
		t.Errorf("ped up %q went well", args)
	}
	if stdout.Len() > 0 {
		t.Errorf("ped up %q says it is ready: %s", args, &stdout)
	}
	return stderr.String()
}

func TestUpSaysWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	used := t.TempDir()
	unlock, err := roles.Lock(used)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	weak := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(weak, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"a port taken":                {[]string{"--listen", taken.Addr().String()}, []string{taken.Addr().String(), "address already in use", "--listen"}},
		"another instance":            {[]string{"--data-dir", used}, []string{used, "is used by process", "--data-dir"}},
		"no guest":                    {nil, []string{"guest bundle", "deploy/setup.sh --for run"}},
		"open to others, no token":    {[]string{"--listen", "0.0.0.0:0"}, []string{"no access token"}},
		"a token that can be guess'd": {[]string{"--token-file", weak}, []string{"tokens:1: access token has 7 bytes"}},
		"a catalog that is not there": {[]string{"--catalog", "/nowhere.yaml"}, []string{"load catalog", "/nowhere.yaml"}},
		"a label that is none":        {[]string{"--label", "cellar"}, []string{`--label "cellar": want name=value`}},
		"too many attempts":           {[]string{"--max-attempts", "11"}, []string{"max-attempts 11: want 1 to 10"}},
		"no loss allowed":             {[]string{"--max-losses", "0"}, []string{"max-losses 0: want 1 or more"}},
		"no queue":                    {[]string{"--max-queued", "-1"}, []string{"max-queued -1"}},
		"an unknown level":            {[]string{"--log-level", "loud"}, []string{"debug, info, warn or error"}},
		"pretended containers":        {[]string{"--isolation", "container,noop", "--container-image", "x"}, []string{"container and noop exclude each other"}},
		"an exit code that is none":   {[]string{"--isolation", "noop", "--noop-exit-code", "256"}, []string{"exit code 256: want 0 to 255"}},
		"two secrets":                 {[]string{"--s3-endpoint", "http://127.0.0.1:1", "--s3-secret-key", "a", "--s3-secret-key-file", weak}, []string{"both given"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--guest-dir", t.TempDir()}, c.args...)
			said := refused(t, args...)
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("ped says %q, which lacks %q", said, want)
				}
			}
			if strings.Contains(said, "hunter2") {
				t.Errorf("ped shows the token: %q", said)
			}
		})
	}
}

// guestDir is where make setup puts guests.
func guestDir(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("PE_CACHE")
	if cache == "" {
		cache = filepath.Join("..", "..", ".cache")
	}
	dir := filepath.Join(cache, "guest")
	if _, err := vm.LoadBundle(dir, "amd64"); err != nil {
		if os.Getenv("PE_REQUIRE_ALL") != "" {
			t.Fatalf("%v: make setup LEVEL=test", err)
		}
		t.Skipf("no guest: %v (make setup LEVEL=test)", err)
	}
	return dir
}

func TestUpServesUntilItIsStopped(t *testing.T) {
	t.Parallel()
	guests := guestDir(t)
	ready := filepath.Join(t.TempDir(), "ready")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan int, 1)
	var stdout, stderr bytes.Buffer
	go func() {
		ended <- run(ctx, []string{"up", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--guest-dir", guests, "--ready-file", ready}, nil, &stdout, &stderr)
	}()
	client, err := producer.New(producer.Config{Server: "http://" + strings.TrimPrefix(awaitFile(t, ready, ended), "http://")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Images(ctx); err != nil {
		t.Error(err)
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
	if want := "Program Explorer is ready at " + client.Server(); strings.TrimSpace(stdout.String()) != want {
		t.Errorf("printed %q, want %q", &stdout, want)
	}
}

// TestUpRunsNothing: measuring needs no guest, no QEMU and no image's bytes.
func TestUpRunsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ready := filepath.Join(dir, "ready")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan int, 1)
	var stdout, stderr bytes.Buffer
	go func() {
		ended <- run(ctx, []string{"up", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "data"), "--ready-file", ready,
			"--allow-image-paths", "--isolation", "noop", "--noop-stdout", "as told", "--noop-echo"}, nil, &stdout, &stderr)
	}()
	client, err := producer.New(producer.Config{Server: awaitFile(t, ready, ended)})
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(dir, "image")
	imagetest.Layout(t, image, imagetest.Index(t, imagetest.Image(t, runtime.GOARCH, v1.Config{Cmd: []string{"x"}})))
	content := "the same again"
	job, err := client.Run(ctx, schemas.JobSpec{
		Image: "oci:" + image, Files: map[string]schemas.File{"in": {Text: &content}}, Env: map[string]string{"NOOP_EXIT": "3"},
		Requires: schemas.Requires{Isolation: schemas.IsolationContainer, Kernel: "noop"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := job.Result; job.State != schemas.StateFailed || *r.Outcome.ExitCode != 3 || r.Stdout.Text != "as told" || len(r.Outputs) != 1 || r.Outputs[0].Path != "in" {
		t.Errorf("the job is %s with %+v", job.State, r)
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
	if !strings.Contains(stderr.String(), "run nothing") {
		t.Errorf("nobody is warned: %s", &stderr)
	}
}

// awaitFile polls, because what writes the file is not of this test.
func awaitFile(t *testing.T, path string, ended <-chan int) string {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		if text, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(text))
		}
		select {
		case code := <-ended:
			t.Fatalf("ended with exit code %d before it was ready", code)
		case <-deadline:
			t.Fatal("not ready after a minute")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
