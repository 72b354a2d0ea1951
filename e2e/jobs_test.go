package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestSameKeyTwice: the second submission is the first job; another request under the key is refused.
func TestSameKeyTwice(t *testing.T) {
	t.Parallel()
	s := shared(t)
	submit := func(words ...string) ended {
		return s.pe(t, append([]string{"submit", "--image", "busybox", "--idempotency-key", "once only", "--"}, words...)...)
	}
	first, again := submit("echo", "x").want(t, 0), submit("echo", "x").want(t, 0)
	if first.stdout != again.stdout || !strings.HasPrefix(first.stdout, "j") {
		t.Errorf("submitted twice, ids %q and %q", first.stdout, again.stdout)
	}
	submit("echo", "y").want(t, 3).says(t, "key")
	s.pe(t, "wait", strings.TrimSpace(first.stdout)).want(t, 0)
}

func TestListsAndLabels(t *testing.T) {
	t.Parallel()
	s := shared(t)
	var ids []string
	for _, run := range []string{"one", "two"} {
		e := s.pe(t, "submit", "--image", "busybox", "--label", "suite=lists", "--label", "run="+run, "--", "true").want(t, 0)
		ids = append(ids, strings.TrimSpace(e.stdout))
	}
	for _, id := range ids {
		s.pe(t, "wait", id).want(t, 0)
	}
	if got := s.list(t, "--label", "suite=lists"); !slices.Equal(got, []string{ids[1], ids[0]}) {
		t.Errorf("the suite is %v, want the newest of %v first", got, ids)
	}
	if got := s.list(t, "--label", "suite=lists", "--label", "run=one", "--state", "succeeded"); !slices.Equal(got, ids[:1]) {
		t.Errorf("run one is %v, want %s", got, ids[0])
	}
	if got := s.list(t, "--label", "suite=lists", "--state", "failed"); len(got) != 0 {
		t.Errorf("failed ones are %v", got)
	}
	s.pe(t, "status", ids[0]).want(t, 0).says(t, ids[0], "succeeded", "suite=lists", "busybox")
	s.pe(t, "images").want(t, 0).says(t, "busybox", "gcc", "python")
	s.pe(t, "executors").want(t, 0).says(t, "local", "up", "amd64")
	s.pe(t, "status", "j0000000000000000000000000").want(t, 3)
}

// list returns the ids of the jobs that `pe jobs` lists.
func (s server) list(t *testing.T, flags ...string) []string {
	t.Helper()
	e := s.pe(t, append([]string{"jobs", "--json"}, flags...)...).want(t, 0)
	var jobs schemas.JobList
	if err := json.Unmarshal([]byte(e.stdout), &jobs); err != nil {
		t.Fatalf("%v: %s", err, e.stdout)
	}
	ids := []string{}
	for _, j := range jobs.Jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

// TestLogsFromASecondClient while the job runs, and again when it has ended.
func TestLogsFromASecondClient(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.submit(t, "echo first; echo aside >&2; sleep 4; echo last")
	s.started(t, id, "first")
	late := exec.CommandContext(t.Context(), commands.Path("pe"), "logs", "--follow", id)
	late.Env = environment("PE_SERVER=" + s.url)
	for _, e := range []ended{runCommand(t, late), s.pe(t, "logs", id)} {
		if e.want(t, 0).stdout != "first\nlast\n" || !strings.Contains(e.stderr, "aside\n") {
			t.Errorf("stdout %q, stderr %q", e.stdout, e.stderr)
		}
	}
}

// TestCancel ends a job that waits and one that runs, and the machine of that one.
func TestCancel(t *testing.T) {
	t.Parallel()
	s := up(t, "--slots", "1", "--pool-memory", "0")
	running := s.submit(t, "echo begun; sleep 600")
	s.started(t, running, "begun")
	queued := s.submit(t, "echo never")
	for _, id := range []string{queued, running} {
		s.pe(t, "cancel", id).want(t, 0)
		s.wait(t, id, schemas.StateCancelled)
		s.pe(t, "wait", id).want(t, 130).says(t, "cancelled")
	}
	s.noMachines(t)
	s.pe(t, "run", "--image", "busybox", "--", "echo", "free again").want(t, 0).says(t, "free again\n")
}

// TestInterrupt: Ctrl-C at `pe run` cancels its job.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	s := shared(t)
	cmd := exec.CommandContext(t.Context(), commands.Path("pe"), "run", "--image", "busybox", "--label", "suite=interrupt", "--", "sh", "-c", "echo begun; sleep 600")
	cmd.Env = environment("PE_SERVER=" + s.url)
	out := &syncBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the program has begun", func() bool { return strings.Contains(out.String(), "begun") })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if cmd.Wait(); cmd.ProcessState.ExitCode() != 130 || !strings.Contains(out.String(), "cancelled") {
		t.Errorf("%s: %s", cmd.ProcessState, out)
	}
	ids := s.list(t, "--label", "suite=interrupt")
	if len(ids) != 1 {
		t.Fatalf("jobs %v, want one", ids)
	}
	s.wait(t, ids[0], schemas.StateCancelled)
}
