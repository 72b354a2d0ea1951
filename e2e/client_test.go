package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// server is a gateway's address, and the clients that talk to it.
type server struct{ url string }

// ended is what a command left behind.
type ended struct {
	stdout, stderr string
	code           int
}

// pe runs the client in a folder of its own.
func (s server) pe(t *testing.T, args ...string) ended {
	t.Helper()
	return s.peIn(t, t.TempDir(), nil, args...)
}

// peIn runs it in a folder and with bytes on its standard input; nil is /dev/null.
func (s server) peIn(t *testing.T, dir string, stdin []byte, args ...string) ended {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), commands.Path("pe"), args...)
	cmd.Dir = dir
	cmd.Env = environment("PE_SERVER=" + s.url)
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	return runCommand(t, cmd)
}

func runCommand(t *testing.T, cmd *exec.Cmd) ended {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return ended{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// busybox runs a shell command in busybox and returns the job as `pe --json run` prints it.
func (s server) busybox(t *testing.T, shell string, flags ...string) schemas.Job {
	t.Helper()
	args := append([]string{"run", "--json", "--no-output", "--image", "busybox"}, flags...)
	e := s.pe(t, append(args, "--", "sh", "-c", shell)...)
	var job schemas.Job
	if err := json.Unmarshal([]byte(e.stdout), &job); err != nil {
		t.Fatalf("pe --json printed no job: %v\nstdout: %s\nstderr: %s", err, tail(e.stdout, 4096), tail(e.stderr, 4096))
	}
	return job
}

func (s server) client(t *testing.T) *producer.Client {
	t.Helper()
	client, err := producer.New(producer.Config{Server: s.url, Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// submit posts a busybox job and returns its id.
func (s server) submit(t *testing.T, shell string) string {
	t.Helper()
	job, err := s.client(t).Submit(t.Context(), schemas.JobSpec{Image: "busybox", Args: []string{"sh", "-c", shell}})
	if err != nil {
		t.Fatal(err)
	}
	return job.ID
}

// wait returns a job that has ended in the state that is wanted.
func (s server) wait(t *testing.T, id string, want schemas.State) schemas.Job {
	t.Helper()
	job, err := s.client(t).Wait(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if job.State != want {
		t.Fatalf("job %s is %s after %d attempts (failure %+v, outcome %+v), want %s", id, job.State, len(job.Attempts), job.Failure, job.Outcome, want)
	}
	return job
}

// started returns when the job's program has written this to stdout.
func (s server) started(t *testing.T, id, word string) {
	t.Helper()
	var seen strings.Builder
	for e, err := range s.client(t).Follow(t.Context(), id) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == schemas.StreamStdout {
			seen.Write(e.Data)
		}
		if strings.Contains(seen.String(), word) {
			return
		}
	}
	t.Fatalf("job %s ended without writing %q", id, word)
}

// want fails the test unless the command ended with this code.
func (e ended) want(t *testing.T, code int) ended {
	t.Helper()
	if e.code != code {
		t.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", e.code, code, tail(e.stdout, 4096), tail(e.stderr, 4096))
	}
	return e
}

// says fails the test unless stdout and stderr together hold every one of the texts.
func (e ended) says(t *testing.T, texts ...string) ended {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(e.stdout+e.stderr, text) {
			t.Errorf("%q is not said\nstdout: %s\nstderr: %s", text, tail(e.stdout, 4096), tail(e.stderr, 4096))
		}
	}
	return e
}

func write(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func exists(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}
