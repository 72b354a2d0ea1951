package vm_test

import (
	"context"
	"slices"
	"testing"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/guestsuite"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/schemas"
)

// TestSuitePooled holds machines that were restored, and have waited, to what every runner is held to.
func TestSuitePooled(t *testing.T) {
	t.Parallel()
	suite(t, "amd64", guestsuite.All(), (*vm.Runner).BarePooled)
}

// TestSuiteRestored does so with machines that come straight from their snapshot.
func TestSuiteRestored(t *testing.T) {
	if !long {
		t.Skip("takes a minute, and TestSuitePooled has seen most of it: run with PE_LONG=1, as make test-all does")
	}
	t.Parallel()
	suite(t, "amd64", guestsuite.All(), (*vm.Runner).BareRestored)
}

// TestSuiteForeign does so with machines of the architectures that are emulated on an amd64
// host, one after the other.
func TestSuiteForeign(t *testing.T) {
	t.Parallel()
	for _, arch := range foreign {
		t.Run(arch, func(t *testing.T) { suite(t, arch, foreignCases(t), (*vm.Runner).BarePooled) })
	}
}

// tedious cases move much data or make many files, which emulation makes slow, and not much
// of a processor is seen in it: half of the suite's time, and amd64 machines have them always.
var tedious = []string{"scratch, in inodes", "a gigabyte of stdout", "a large file", "share of a processor", "memory by scratch"}

// foreignCases are all with PE_LONG=1, else all but the tedious.
func foreignCases(t *testing.T) []guestsuite.Case {
	t.Helper()
	all := guestsuite.All()
	rest := slices.DeleteFunc(slices.Clone(all), func(c guestsuite.Case) bool { return slices.Contains(tedious, c.Name) })
	if len(all)-len(rest) != len(tedious) {
		t.Fatalf("%d cases of %d are left out, want those: %q", len(all)-len(rest), len(all), tedious)
	}
	if long {
		return all
	}
	return rest
}

func suite(t *testing.T, arch string, cases []guestsuite.Case, ready func(*vm.Runner, context.Context, executor.Shape) (*vm.Bare, error)) {
	t.Helper()
	host, _ := newHost(t, t.TempDir(), nil)
	r := newRunnerOf(t, host, arch)
	shape := executor.NewShape(imageFor(t, "busybox", arch), schemas.JobSpec{}.WithDefaults().Limits)
	guestsuite.RunCases(t, func(t *testing.T) guestsuite.Runner {
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
	}, cases)
}
