package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/internal/doctor"
	"github.com/program-explorer/pe/internal/roles"
	"github.com/program-explorer/pe/schemas"
)

func (a *app) doctor() *cobra.Command {
	var (
		data   dataFlags
		guest  guestFlags
		ways   waysFlags
		at     listenFlags
		asJSON bool
		quick  bool
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether this machine is fit to run jobs, and say what to fix",
		Long: `Look whether this machine is fit to run jobs: QEMU and its accelerator (by booting
a kernel, because /dev/kvm alone proves nothing), guests, gVisor and containers (by
breaking each limit in one), disk, memory, address, user and cgroups. Prints ok, warn or fail for each, and what to do.

Exit code 1 means that something failed: jobs cannot run. A warning concerns a
part of them, or their speed.`,
		Example: "  ped doctor --guest-dir .cache/guest",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := doctor.Config{
				DataDir: data.dir, GuestDir: guest.in(data.dir), Listen: at.listen,
				Archs: ownFirst(schemas.Archs), Prove: doctor.Boot,
				Try: roles.Trial(roles.ExecutorConfig{Dir: data.dir, GuestDir: guest.in(data.dir), Ways: ways.ways}),
			}
			if quick {
				c.Prove, c.Try = nil, nil
			}
			return a.printChecks(doctor.Run(cmd.Context(), c), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&quick, "quick", false, "boot nothing")
	return a.configured(cmd, data.bind(a.getenv), guest.bind(), ways.bind(), at.bind())
}

// ownFirst puts the host's architecture first: it is the one that must work.
func ownFirst(archs []string) []string {
	own := slices.Index(archs, runtime.GOARCH)
	if own < 0 {
		return archs
	}
	return slices.Concat(archs[own:own+1], archs[:own], archs[own+1:])
}

func (a *app) printChecks(checks []doctor.Check, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(a.stdout).Encode(checks); err != nil {
			return err
		}
	} else {
		for _, c := range checks {
			fmt.Fprintf(a.stdout, "%-4s  %-14s  %s\n", c.Status, c.Name, c.Detail)
			if c.Fix != "" {
				fmt.Fprintf(a.stdout, "%22s→ %s\n", "", c.Fix)
			}
		}
	}
	if !doctor.Fit(checks) {
		return errReported
	}
	return nil
}
