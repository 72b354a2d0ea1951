package e2e

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// TestTenantsFile: a cap is in force once it is in the file, who is over it is told
// to come back later, and `pe` does; a mistake in the file changes nothing.
func TestTenantsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tenants.yaml")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	put("# nobody has limits of their own\n")
	s := upNothing(t, "--tenants-file", file, "--noop-run", "1h", "--slots", "1")
	first := s.submitNothing(t)
	s.runs(t, 1, first)
	s.submitNothing(t) // which waits

	put("local: {max-queued: 1}\n")
	s.says(t, "limits of tenants read again")
	refused := s.refusedNothing(t)
	if refused.Status != http.StatusTooManyRequests {
		t.Fatalf("over the cap the answer is %+v, want 429", refused)
	}
	put("local: {max-queued: none}\n")
	s.says(t, "limits of tenants stay as they were")
	if again := s.refusedNothing(t); again.Status != http.StatusTooManyRequests {
		t.Errorf("with a mistake in the file the answer is %+v, want 429 as before", again)
	}

	waits := make(chan ended, 1)
	go func() { waits <- s.pe(t, append([]string{"submit"}, onNothing...)...) }()
	put("local: {max-queued: 3}\n")
	(<-waits).want(t, 0)
}

// refusedNothing submits a job that must be refused, by a client that does not wait.
func (s server) refusedNothing(t *testing.T) *schemas.ProblemDocument {
	t.Helper()
	client, err := producer.New(producer.Config{Server: s.url, Patience: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Submit(t.Context(), schemas.JobSpec{Image: "busybox", Requires: schemas.Requires{Isolation: schemas.IsolationContainer, Kernel: schemas.KernelNoop}})
	var problem *schemas.ProblemDocument
	if !errors.As(err, &problem) {
		t.Fatalf("submit: %v, want to be refused", err)
	}
	return problem
}
