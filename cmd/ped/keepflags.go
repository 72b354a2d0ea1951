package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/program-explorer/pe/gateway/retention"
	"github.com/program-explorer/pe/internal/settings"
)

// keepFlags say how long jobs and their files are kept.
type keepFlags struct {
	outputs, inputs, records settings.Lifetime
	jobs                     int
}

func (k *keepFlags) bind() *pflag.FlagSet {
	f := newGroup()
	k.outputs, k.inputs, k.records = settings.Lifetime(retention.DefaultOutputs), settings.Lifetime(retention.DefaultInputs), settings.Lifetime(retention.DefaultRecords)
	f.Var(&k.outputs, "keep-outputs", "`TIME` after its end that a job's files and logs are kept: 7d, 36h, forever")
	f.Var(&k.inputs, "keep-inputs", "`TIME` that uploaded inputs are kept that no job needs; at least 1h")
	f.Var(&k.records, "keep-records", "`TIME` after its end that a job is known at all")
	f.IntVar(&k.jobs, "keep-jobs", retention.DefaultJobs, "about `N` jobs of a tenant that have ended are known, the newest; at least 1000, or 0 for all")
	return f
}

func (k *keepFlags) policy() (retention.Policy, error) {
	p := retention.Policy{Outputs: time.Duration(k.outputs), Inputs: time.Duration(k.inputs), Records: time.Duration(k.records), Jobs: k.jobs}
	if err := p.Check(); err != nil {
		return p, usageError{err}
	}
	return p, nil
}
