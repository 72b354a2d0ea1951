package executor

import (
	"runtime"

	"github.com/program-explorer/pe/executor/host"
	"github.com/program-explorer/pe/schemas"
)

// hostFacts are what the executor says of itself.
func hostFacts(c Config, instance string) schemas.Facts {
	f := schemas.Facts{
		Executor:    c.ID,
		Instance:    instance,
		Version:     c.Version,
		Slots:       c.Slots,
		HostArch:    runtime.GOARCH,
		HostOS:      runtime.GOOS,
		HostKernel:  oneLine(host.KernelRelease(), maxName),
		CPUModel:    oneLine(host.CPUModel(), maxName),
		CPUs:        runtime.NumCPU(),
		MemoryBytes: host.MemoryBytes(),
		Labels:      c.Labels,
		Owner:       c.Owner,
		Tenants:     c.Tenants,
	}
	f.Offers = offersOf(c.Runners)
	return f
}

func offersOf(runners []Runner) []schemas.Offering {
	var all []schemas.Offering
	for _, r := range runners {
		all = append(all, r.Offering())
	}
	return all
}
