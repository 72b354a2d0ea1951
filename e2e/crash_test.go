package e2e

import (
	"testing"

	"github.com/program-explorer/pe/internal/hosttest"
	"github.com/program-explorer/pe/schemas"
)

// TestMachineKilledInMidRun: the platform's failure, so the job is run again.
func TestMachineKilledInMidRun(t *testing.T) {
	t.Parallel()
	s := up(t, "--slots", "1")
	id := s.submit(t, "echo begun; sleep 4; echo finished")
	s.started(t, id, "begun")
	s.killMachines(t)
	job := s.wait(t, id, schemas.StateSucceeded)
	if len(job.Attempts) != 2 {
		t.Fatalf("succeeded after %d attempts, want 2", len(job.Attempts))
	}
	if f := job.Attempts[0].Failure; f == nil || f.Code != schemas.FailGuest {
		t.Errorf("the first attempt failed with %+v, want code %s", f, schemas.FailGuest)
	}
	if job.Result.Stdout.Text != "begun\nfinished\n" {
		t.Errorf("stdout is %q", job.Result.Stdout.Text)
	}
}

// TestSystemKilledInMidRun: accepted jobs survive everything at once.
func TestSystemKilledInMidRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := upIn(t, dir, "--slots", "1")
	done := s.submit(t, "echo done > /output/file")
	s.wait(t, done, schemas.StateSucceeded)
	underWay := s.submit(t, "echo begun; sleep 3; echo ran")
	s.started(t, underWay, "begun")
	waiting := s.submit(t, "echo waited")
	machines := s.machines()
	s.kill()
	for _, pid := range machines {
		eventually(t, "a machine ends with its daemon", func() bool { return !hosttest.Running(pid) })
	}
	again := upIn(t, dir, "--slots", "1")
	job := again.wait(t, underWay, schemas.StateSucceeded)
	if n := len(job.Attempts); n != 2 || job.Result.Stdout.Text != "begun\nran\n" {
		t.Errorf("%d attempts, want 2; result %+v", n, job.Result)
	}
	again.wait(t, waiting, schemas.StateSucceeded)
	again.wait(t, done, schemas.StateSucceeded)
	again.pe(t, "outputs", done, "file").want(t, 0).says(t, "done\n")
}

// TestStoppedInMidRun: a clean shutdown hands back what does not end within its grace.
func TestStoppedInMidRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := upIn(t, dir, "--slots", "1", "--grace", "1s")
	id := s.submit(t, "echo begun; sleep 5; echo ran")
	s.started(t, id, "begun")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	job := upIn(t, dir, "--slots", "1").wait(t, id, schemas.StateSucceeded)
	if f := job.Attempts[0].Failure; f == nil || f.Code != schemas.FailHandback {
		t.Errorf("the first attempt failed with %+v, want code %s", f, schemas.FailHandback)
	}
}
