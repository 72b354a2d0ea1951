package producer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// Kinds are the distinct kinds of machine that can be had now and fit base, each
// under the shortest name that tells it from the others: accelerator and kernel
// are named only where there is a choice. The order is that of architectures
// and isolations.
func Kinds(fleet []schemas.Executor, base schemas.Requires) []Target {
	var offers []schemas.Offering
	for _, e := range fleet {
		for _, o := range e.Offers {
			if e.State == schemas.ExecutorUp && fits(base, e.Facts, o) && !slices.ContainsFunc(offers, func(x schemas.Offering) bool { return compareKinds(x, o) == 0 }) {
				offers = append(offers, o)
			}
		}
	}
	slices.SortFunc(offers, compareKinds)
	var targets []Target
	for _, o := range offers {
		if t := kindOf(o, offers); !slices.ContainsFunc(targets, func(x Target) bool { return x.Name == t.Name }) {
			targets = append(targets, t)
		}
	}
	return targets
}

func compareKinds(x, y schemas.Offering) int {
	return cmp.Or(
		cmp.Compare(slices.Index(schemas.Archs, x.Arch), slices.Index(schemas.Archs, y.Arch)),
		cmp.Compare(slices.Index(schemas.Isolations, x.Isolation), slices.Index(schemas.Isolations, y.Isolation)),
		cmp.Compare(slices.Index(schemas.Accels, x.Accel), slices.Index(schemas.Accels, y.Accel)),
		cmp.Compare(x.Kernel, y.Kernel),
	)
}

// fits reports whether jobs with these requirements may run in this one kind of
// an executor's machines. An architecture and an isolation that are not said fit all.
func fits(r schemas.Requires, f schemas.Facts, o schemas.Offering) bool {
	r.Arch, r.Isolation = cmp.Or(r.Arch, o.Arch), cmp.Or(r.Isolation, o.Isolation)
	f.Offers = []schemas.Offering{o}
	return r.SatisfiedBy(f)
}

// kindOf names one kind among all.
func kindOf(o schemas.Offering, all []schemas.Offering) Target {
	t := Target{Optional: true, Requires: schemas.Requires{Arch: o.Arch, Isolation: o.Isolation}}
	t.Name = o.Arch + "-" + o.Isolation
	var accels, kernels []string
	for _, x := range all {
		if x.Arch == o.Arch && x.Isolation == o.Isolation {
			accels = append(accels, x.Accel)
			if x.Accel == o.Accel {
				kernels = append(kernels, x.Kernel)
			}
		}
	}
	if o.Accel != "" && len(slices.Compact(accels)) > 1 {
		t.Name, t.Requires.Accel = t.Name+"-"+o.Accel, o.Accel
	}
	if o.Kernel != "" && len(kernels) > 1 {
		t.Requires.Kernel = shortKernel(o.Kernel, kernels)
		t.Name += "@" + t.Requires.Kernel
	}
	return t
}

// shortKernel is a release's "6.1" if no other one has that, else all of it.
func shortKernel(release string, all []string) string {
	short := majorMinor(release)
	for _, other := range all {
		if other != release && majorMinor(other) == short {
			return release
		}
	}
	return short
}

func majorMinor(release string) string {
	parts := strings.SplitN(release, ".", 3)
	if len(parts) < 3 {
		return release
	}
	return parts[0] + "." + parts[1]
}

// UnofferedError says that no executor that is known offers some targets. Nothing
// was submitted.
type UnofferedError struct {
	// Targets that nobody offers.
	Targets []string
	// Offered are the kinds that there are, each as a target.
	Offered []string
	// Executors are the ids of those who are known.
	Executors []string
}

func (e *UnofferedError) Error() string {
	if len(e.Executors) == 0 {
		return fmt.Sprintf("nobody offers %s: no executor has registered yet", strings.Join(e.Targets, ", "))
	}
	offered := "nothing"
	if len(e.Offered) > 0 {
		offered = strings.Join(e.Offered, ", ")
	}
	return fmt.Sprintf("nobody offers %s; on offer: %s; executors: %s", strings.Join(e.Targets, ", "), offered, strings.Join(e.Executors, ", "))
}

// CheckOffered refuses targets that no executor of the fleet could ever run, with
// an [*UnofferedError]. One that is away may come back: its jobs wait for it.
func CheckOffered(fleet []schemas.Executor, base schemas.Requires, targets []Target) error {
	e := &UnofferedError{}
	for _, t := range targets {
		r := t.Over(base)
		r.Isolation = cmp.Or(r.Isolation, schemas.IsolationStrong)
		can := func(x schemas.Executor) bool {
			return slices.ContainsFunc(x.Offers, func(o schemas.Offering) bool { return fits(r, x.Facts, o) })
		}
		if !slices.ContainsFunc(fleet, can) {
			e.Targets = append(e.Targets, t.Name)
		}
	}
	if len(e.Targets) == 0 {
		return nil
	}
	for _, t := range Kinds(everUp(fleet), schemas.Requires{}) {
		e.Offered = append(e.Offered, t.Name)
	}
	for _, x := range fleet {
		e.Executors = append(e.Executors, x.Executor)
	}
	return e
}

// everUp is the fleet as if all of it were there.
func everUp(fleet []schemas.Executor) []schemas.Executor {
	all := slices.Clone(fleet)
	for i := range all {
		all[i].State = schemas.ExecutorUp
	}
	return all
}
