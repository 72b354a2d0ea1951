package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/roles"
)

// jobsFlags say how often jobs are tried.
type jobsFlags struct{ attempts, losses int }

func (j *jobsFlags) bind() *pflag.FlagSet {
	f := newGroup()
	f.IntVar(&j.attempts, "max-attempts", 3, "how often a job is tried that the platform could not run, 1 to 10; then it is dead")
	f.IntVar(&j.losses, "max-losses", 2, "how many executors may be lost with one job; then it is dead, for it may be what ends them")
	return f
}

func (j *jobsFlags) config() (roles.JobsConfig, error) {
	if j.attempts < 1 || j.attempts > coordinator.MaxMaxAttempts {
		return roles.JobsConfig{}, usageError{fmt.Errorf("max-attempts %d: want 1 to %d", j.attempts, coordinator.MaxMaxAttempts)}
	}
	if j.losses < 1 {
		return roles.JobsConfig{}, usageError{fmt.Errorf("max-losses %d: want 1 or more", j.losses)}
	}
	return roles.JobsConfig{MaxAttempts: j.attempts, MaxLosses: j.losses}, nil
}
