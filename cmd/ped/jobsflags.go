package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/roles"
	"github.com/program-explorer/pe/internal/settings"
)

// jobsFlags say how often jobs are tried, and how much each tenant may have.
type jobsFlags struct {
	attempts, losses       int
	queued, running, pools int
	stored                 settings.Size
	tenants                string
}

func (j *jobsFlags) bind() *pflag.FlagSet {
	f := newGroup()
	f.IntVar(&j.attempts, "max-attempts", 3, "`N` attempts at a job that the platform could not run, 1 to 10; then it is dead")
	f.IntVar(&j.losses, "max-losses", 2, "with `N` executors lost, a job is dead: it may be what ends them")
	f.IntVar(&j.queued, "max-queued", 100_000, "a tenant may have at most `N` queued jobs")
	f.IntVar(&j.running, "max-running", 0, "at most `N` jobs of a tenant may run or be about to; its others wait; 0: as many as there is room for")
	f.Var(&j.stored, "max-stored", "at most this `SIZE` a tenant may have in the object store, as sweeps count it and roughly in between; over it, it may not upload or submit; 0: no bound")
	f.IntVar(&j.pools, "max-pools", 128, "a tenant's jobs may have at most `N` different requirements at one time")
	f.StringVar(&j.tenants, "tenants-file", "", "YAML `FILE` with other limits for some tenants, and their weights; read again when it changes")
	return f
}

func (j *jobsFlags) config() (roles.JobsConfig, error) {
	if j.attempts < 1 || j.attempts > coordinator.MaxMaxAttempts {
		return roles.JobsConfig{}, usageError{fmt.Errorf("max-attempts %d: want 1 to %d", j.attempts, coordinator.MaxMaxAttempts)}
	}
	if j.losses < 1 {
		return roles.JobsConfig{}, usageError{fmt.Errorf("max-losses %d: want 1 or more", j.losses)}
	}
	if j.queued < 1 || j.pools < 1 || j.running < 0 {
		return roles.JobsConfig{}, usageError{fmt.Errorf("max-queued %d, max-pools %d, max-running %d: want 1 or more of the first two, and 0 or more", j.queued, j.pools, j.running)}
	}
	return roles.JobsConfig{
		MaxAttempts: j.attempts, MaxLosses: j.losses, TenantsFile: j.tenants,
		Limits: coordinator.Limits{Queued: j.queued, Running: j.running, StoredBytes: int64(j.stored), Pools: j.pools},
	}, nil
}
