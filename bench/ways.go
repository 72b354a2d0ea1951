package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/program-explorer/pe/schemas"
)

// contained are the ways to run a job without a virtual machine.
var contained = []string{schemas.IsolationGVisor, schemas.IsolationContainer}

// allWays are the flags of a system that runs jobs in every way.
func allWays(c config) []string {
	return []string{"--isolation=vm,gvisor,container", "--runsc=" + c.runsc(), "--container-image=gcc"}
}

func (c config) runsc() string { return filepath.Join(c.cache, "bin", "runsc") }

// isolated is a specification for one way to run it.
func isolated(isolation string, spec schemas.JobSpec) schemas.JobSpec {
	spec.Requires.Isolation = isolation
	return spec
}

// containedJobs are jobs in a sandbox and in a container that waited.
func containedJobs(b *box) []contestant {
	var all []contestant
	for _, isolation := range contained {
		c := job("job.warm."+isolation, b, isolated(isolation, gccSpec))
		c.setup = b.withRuntimes(c.setup)
		all = append(all, c)
	}
	return all
}

// withRuntimes says what is missing before the system starts without it.
func (b *box) withRuntimes(setup func(context.Context) (func() error, error)) func(context.Context) (func() error, error) {
	return func(ctx context.Context) (func() error, error) {
		if _, err := os.Stat(b.runsc()); err != nil {
			return nil, errCannot{fmt.Errorf("%w (make setup LEVEL=bench)", err)}
		}
		return setup(ctx)
	}
}
