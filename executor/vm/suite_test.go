package vm_test

import (
	"context"
	"testing"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/guestsuite"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/schemas"
)

// TestSuitePooled holds machines that were restored, and have waited, to what every runner is held to.
func TestSuitePooled(t *testing.T) { suite(t, (*vm.Runner).BarePooled) }

// TestSuiteRestored does so with machines that come straight from their snapshot.
func TestSuiteRestored(t *testing.T) {
	if !long {
		t.Skip("takes a minute, and TestSuitePooled has seen most of it: run with PE_LONG=1, as make test-all does")
	}
	suite(t, (*vm.Runner).BareRestored)
}

func suite(t *testing.T, ready func(*vm.Runner, context.Context, executor.Shape) (*vm.Bare, error)) {
	t.Parallel()
	host, _ := newHost(t, t.TempDir(), nil)
	r := newRunner(t, host)
	shape := executor.NewShape(image(t, "busybox"), schemas.JobSpec{}.WithDefaults().Limits)
	guestsuite.Run(t, func(t *testing.T) guestsuite.Runner {
		m, err := ready(r, t.Context(), withName(shape, "suite"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
		return m
	})
}
