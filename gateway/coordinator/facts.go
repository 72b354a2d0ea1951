package coordinator

import (
	"errors"
	"fmt"
	"slices"

	"github.com/program-explorer/pe/schemas"
)

// Bounds of what an executor may say of itself.
const (
	maxFactsBytes = 32 << 10
	maxSlots      = 1024
	maxOffers     = 64
	maxFeatures   = 1024
	maxLabels     = 64
	maxText       = 256
)

// checkFacts refuses what an executor cannot mean: the facts go into a bucket,
// to clients, and into decisions.
func checkFacts(executor string, f schemas.Facts) error {
	switch {
	case f.Executor != executor:
		return fmt.Errorf("facts are of executor %.80q", f.Executor)
	case f.Instance == "" || len(f.Instance) > maxText:
		return errors.New("no instance, or too long a one")
	case f.Slots < 1 || f.Slots > maxSlots:
		return fmt.Errorf("%d slots, want 1 to %d", f.Slots, maxSlots)
	case f.CPUs < 0 || f.MemoryBytes < 0:
		return errors.New("negative processors or memory")
	case len(f.Offers) == 0 || len(f.Offers) > maxOffers:
		return fmt.Errorf("offers %d kinds of machine, want 1 to %d", len(f.Offers), maxOffers)
	case len(f.Labels) > maxLabels:
		return fmt.Errorf("%d labels, at most %d allowed", len(f.Labels), maxLabels)
	case !short(f.Version, f.HostArch, f.HostOS, f.HostKernel, f.CPUModel):
		return fmt.Errorf("a text of more than %d bytes", maxText)
	}
	for k, v := range f.Labels {
		if k == "" || !short(k, v) {
			return fmt.Errorf("label %.80q is empty or too long", k)
		}
	}
	for _, o := range f.Offers {
		if err := checkOffering(o); err != nil {
			return err
		}
	}
	return nil
}

func checkOffering(o schemas.Offering) error {
	switch {
	case !slices.Contains(schemas.Archs, o.Arch):
		return fmt.Errorf("offers architecture %.80q", o.Arch)
	case !slices.Contains(schemas.Isolations, o.Isolation) || o.Isolation == schemas.IsolationStrong:
		return fmt.Errorf("offers isolation %.80q", o.Isolation)
	case o.Accel != "" && !slices.Contains(schemas.Accels, o.Accel):
		return fmt.Errorf("offers accelerator %.80q", o.Accel)
	case len(o.Features) > maxFeatures || !short(o.Features...) || !short(o.AccelReason, o.Kernel, o.CPUModel):
		return errors.New("an offer that is too long")
	}
	return nil
}

func short(texts ...string) bool {
	return !slices.ContainsFunc(texts, func(s string) bool { return len(s) > maxText })
}
