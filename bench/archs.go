package main

import (
	"context"

	"github.com/program-explorer/pe/schemas"
)

// foreign are the architectures that this machine emulates, besides its own.
var foreign = []string{"arm64", "riscv64"}

// foreignJobs are jobs in machines of other architectures that waited.
func foreignJobs(b *box) []contestant {
	var all []contestant
	for _, arch := range foreign {
		spec := gccSpec
		spec.Requires = schemas.Requires{Arch: arch, Isolation: schemas.IsolationVM}
		all = append(all, job("job.warm."+arch, b, spec))
	}
	return all
}

// foreignRestores are single restores and boots of machines of another architecture, in turn.
func foreignRestores(host vmHost, arch string) contestant {
	restore, boot := "vm.restore."+arch, "vm.boot."+arch
	flag := "--arch=" + arch
	return contestant{
		rows: []string{restore, boot}, turns: vmTurns,
		setup: func(ctx context.Context) (func() error, error) {
			_, err := host.bench(ctx, "discard", runs(1), flag)
			return nil, err
		},
		once: func(ctx context.Context) (sample, error) {
			r, err := host.bench(ctx, "restore", runs(host.eachTurn()), flag)
			return sample{values: map[string][]float64{restore: r.SamplesMS, boot: r.BootMS}}, err
		},
	}
}
