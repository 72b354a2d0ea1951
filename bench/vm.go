package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
)

// machines lists what is measured of machines without jobs: `ped vm bench` does it.
func machines(ctx context.Context, c config, work string) []contestant {
	host := vmHost{config: c, data: filepath.Join(work, "vm")}
	all := []contestant{restores(host), perSecondWith(host, 1), perSecondWith(host, 2), pss(host), soak(host)}
	for _, arch := range foreign {
		all = append(all, foreignRestores(vmHost{config: c, data: filepath.Join(work, "vm-"+arch)}, arch))
	}
	return append(all, storages(ctx, host, work)...)
}

// vmTurns is how often a measurement of many runs is repeated, vmRuns how many it has.
const (
	vmTurns = 3
	vmRuns  = 12
)

// eachTurn is how many of a turn's samples make up for there being few turns.
func (v vmHost) eachTurn() int { return max(1, (v.runs+vmTurns-1)/vmTurns) }

// prepared is a contestant for a data directory with a snapshot.
func prepared(host vmHost, turns int, rows []string, once func(context.Context) (sample, error)) contestant {
	return contestant{
		rows: rows, turns: turns, once: once,
		setup: func(ctx context.Context) (func() error, error) { return nil, host.bake(ctx) },
	}
}

// restores are single restores and boots of the same machine in turn, each to the guest's first reply.
func restores(host vmHost) contestant {
	const restore, boot, boots, cpu, bootCPU = "vm.restore.amd64", "vm.boot.amd64", "vm.boots_per_s", "vm.restore.cpu", "vm.boot.cpu"
	return prepared(host, vmTurns, []string{restore, boot, boots, cpu, bootCPU}, func(ctx context.Context) (sample, error) {
		r, err := host.bench(ctx, "restore", runs(host.eachTurn()))
		s := sample{values: map[string][]float64{restore: r.SamplesMS, boot: r.BootMS, cpu: r.CPUMS, bootCPU: r.BootCPUMS}}
		for _, ms := range r.BootMS {
			s.values[boots] = append(s.values[boots], 1000/ms)
		}
		return s, err
	})
}

// perSecondWith restores and discards, with some workers at once.
func perSecondWith(host vmHost, workers int) contestant {
	row := fmt.Sprintf("vm.restores_per_s.%d", workers)
	return prepared(host, vmTurns, []string{row}, func(ctx context.Context) (sample, error) {
		r, err := host.bench(ctx, "discard", runs(vmRuns), "--workers="+strconv.Itoa(workers))
		return took(row, r.PerSecond), err
	})
}

// clones is how many machines of one snapshot live at once for the memory they use.
const clones = 32

// pss is after each clone has run the command; what of the template no clone has read is counted, too.
func pss(host vmHost) contestant {
	const row, memory = "clones32.pss", "clones32.memory"
	return prepared(host, 1, []string{row, memory}, func(ctx context.Context) (sample, error) {
		r, err := host.bench(ctx, "pss", append([]string{"--clones=" + strconv.Itoa(clones), "--"}, gccVersion...)...)
		s := took(row, float64(r.PSSBytes+r.TemplateUnmappedBytes)/(1<<20))
		s.values[memory] = []float64{clones * float64(r.MemoryBytes) / (1 << 20)}
		return s, err
	})
}

// soak restores very often, and looks for what is left behind.
func soak(host vmHost) contestant {
	names := []string{"soak.restores", "soak.restore", "soak.leaked.processes", "soak.leaked.fds", "soak.leaked.files", "soak.rss_slope"}
	c := prepared(host, 1, names, func(ctx context.Context) (sample, error) {
		r, err := host.bench(ctx, "soak", "--for="+strconv.Itoa(host.soak))
		if err != nil {
			return sample{}, err
		}
		values := []float64{float64(r.Runs), 0, float64(r.Leaked.Processes), float64(r.Leaked.FDs), float64(r.Leaked.Files), *r.RSSSlope / 1024}
		s := sample{values: make(map[string][]float64)}
		for i, name := range names {
			s.values[name] = []float64{values[i]}
		}
		s.values["soak.restore"] = r.SamplesMS
		return s, nil
	})
	c.asked = true
	return c
}
