package e2e

import (
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestHowProgramsEnd: the client's exit code and words for each way to end.
func TestHowProgramsEnd(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, c := range []struct {
		name string
		args []string
		code int
		says []string
	}{
		{"success", []string{"true"}, 0, nil},
		{"non-zero", []string{"sh", "-c", "exit 42"}, 42, nil},
		{"signal", []string{"sh", "-c", "kill -SEGV $$"}, 128 + 11, []string{"SIGSEGV"}},
		{"not in the image", []string{"no-such-program"}, 127, []string{"no-such-program", "not found"}},
		{"not executable", []string{"/etc/passwd"}, 126, []string{"/etc/passwd"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s.pe(t, append([]string{"run", "--image", "busybox", "--"}, c.args...)...).want(t, c.code).says(t, c.says...)
		})
	}
}

func TestStdin(t *testing.T) {
	t.Parallel()
	s := shared(t)
	e := s.peIn(t, t.TempDir(), []byte("through the pipe\n"), "run", "--image", "busybox", "--", "tr", "a-z", "A-Z").want(t, 0)
	if e.stdout != "THROUGH THE PIPE\n" {
		t.Errorf("stdout is %q", e.stdout)
	}
}

// TestEndlessStdout: a gibibyte costs the program time, and nobody else
// anything: 16 MiB of it are kept.
func TestEndlessStdout(t *testing.T) {
	t.Parallel()
	job := shared(t).busybox(t, "dd if=/dev/zero bs=1M count=1024", "--wall", "10m")
	if job.State != schemas.StateSucceeded || job.Result == nil {
		t.Fatalf("state %s, outcome %+v", job.State, job.Outcome)
	}
	out := job.Result.Stdout
	if out.Bytes < 16<<20 || !out.Truncated || len(out.Text) != 64<<10 || out.Log == nil {
		t.Errorf("%d of %d bytes are in the head, truncated %v, log %+v", len(out.Text), out.Bytes, out.Truncated, out.Log)
	}
	if out.Log != nil && out.Log.Size > 1<<20 {
		t.Errorf("the log takes %d bytes", out.Log.Size)
	}
}

// TestForkBombLeavesTheNextJobAlone runs an ordinary job after one.
func TestForkBombLeavesTheNextJobAlone(t *testing.T) {
	t.Parallel()
	s := shared(t)
	job := s.busybox(t, "bomb() { bomb | bomb & }; bomb; sleep 60", "--wall", "4s")
	if job.Outcome == nil || job.Outcome.Limit != schemas.LimitWall && job.Outcome.Limit != schemas.LimitPids {
		t.Errorf("state %s, outcome %+v, failure %+v, want a limit", job.State, job.Outcome, job.Failure)
	}
	if out := s.pe(t, "run", "--image", "busybox", "--", "echo", "still here").want(t, 0).stdout; strings.TrimSpace(out) != "still here" {
		t.Errorf("stdout is %q", out)
	}
}
