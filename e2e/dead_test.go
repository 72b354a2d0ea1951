package e2e

import (
	"strings"
	"testing"

	"github.com/program-explorer/pe/internal/objstore/s3test"
	"github.com/program-explorer/pe/schemas"
)

// TestDeadJobs: two jobs whose executor is killed under them twice are tried no
// more. A person has one tried again, on an executor that lives, and drops the other.
func TestDeadJobs(t *testing.T) {
	t.Parallel()
	s3 := s3test.Start(t)
	queue := startNATS(t, 0, "cellar")
	s := startGateway(t, queue, s3Args(s3, s3.Endpoint), "127.0.0.1:0")
	home := t.TempDir()
	cellar := startNothing(t, queue, "cellar", home, "1h")
	s.waitExecutors(t, "cellar")
	again, gone := s.submitNothing(t), s.submitNothing(t)
	for attempt := 1; attempt <= 2; attempt++ {
		s.runs(t, attempt, again, gone)
		cellar.kill()
		cellar = startNothing(t, queue, "cellar", home, "1h")
	}
	for _, id := range []string{again, gone} {
		s.wait(t, id, schemas.StateDead)
	}

	s.pe(t, "dead", "list").want(t, 0).says(t, again, gone, "executor-lost", "2 executors were lost with this job")
	s.pe(t, "dead", "show", again).want(t, 0).says(t, "pe dead retry "+again, "pe dead drop "+again)
	if err := cellar.stop(); err != nil {
		t.Fatal(err)
	}
	startNothing(t, queue, "cellar", home, "0s")
	s.pe(t, "dead", "retry", again).want(t, 0).says(t, again+" queued again")
	if job := s.wait(t, again, schemas.StateSucceeded); len(job.Attempts) != 3 || job.Attempts[2].N != 3 {
		t.Errorf("attempts are %+v, want the two that were lost and a third", job.Attempts)
	}
	s.pe(t, "dead", "drop", gone).want(t, 0).says(t, gone+" dropped")
	s.pe(t, "status", gone).want(t, 3).says(t, "no such job")
	s.pe(t, "dead", "retry", again).want(t, 3).says(t, "not dead")
	if list := s.pe(t, "dead", "list").want(t, 0).stdout; strings.Contains(list, again) || strings.Contains(list, gone) {
		t.Errorf("dead still are:\n%s", list)
	}
}

// runs waits until jobs are in their attempt of that number.
func (s server) runs(t *testing.T, attempt int, ids ...string) {
	t.Helper()
	for _, id := range ids {
		eventually(t, "job "+id+" runs", func() bool {
			job, err := s.client(t).Job(t.Context(), id)
			return err == nil && job.State == schemas.StateRunning && len(job.Attempts) == attempt
		})
	}
}
