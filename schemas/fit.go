package schemas

import (
	"maps"
	"slices"
	"strings"
)

// MaxSurplus bounds [Requires.Surplus]: the priorities that a pull can have.
const MaxSurplus = 9

// Surplus says how over-qualified an executor whose facts satisfy r is for such
// a job, from 0 (it fits exactly) to [MaxSurplus]. Of the executors that wait,
// those with the lowest number get the job. It is the sum of
//
//   - 1 for each kind of machine, which is an architecture and an isolation, that
//     the executor offers and the job could not use: while the job has the slot,
//     the executor cannot offer them;
//   - 1 for each label that the job does not ask for;
//   - what kind of machine the job gets: for isolation vm, 1 if it is accelerated
//     and the job does not ask for that; for strong, in the order of what strong
//     means, 0 for an accelerated VM, 1 for gVisor, 2 for an emulated VM. The
//     offering with the least counts.
//
// CPU features, CPU model and kernel do not count: every processor has a hundred
// features, and no job asks for most of them. An executor that should be kept for
// the jobs that need it has a label. One that the job names fits exactly.
func (r Requires) Surplus(f Facts) int {
	if r.Executor != "" {
		return 0
	}
	unused := map[[2]string]bool{}
	least := MaxSurplus
	for _, o := range f.Offers {
		if !r.usable(o) {
			unused[[2]string{o.Arch, o.Isolation}] = true
		} else if r.satisfiedByOffering(o) {
			least = min(least, r.surplusOf(o))
		}
	}
	return min(least+len(unused)+len(f.Labels)-len(r.Labels), MaxSurplus)
}

func (r Requires) surplusOf(o Offering) int {
	fast := o.Accel == "kvm" || o.Accel == "hvf"
	switch {
	case r.Isolation != IsolationStrong && fast && r.Accel == "":
		return 1
	case r.Isolation != IsolationStrong || fast:
		return 0
	case o.Isolation == IsolationGVisor:
		return 1
	default:
		return 2
	}
}

// Lacks lists what an executor with these facts would need to run the job, as
// words for people: nothing exactly if [Requires.SatisfiedBy] says yes. Of its
// offerings the nearest counts.
func (r Requires) Lacks(f Facts) []string {
	var all []string
	if r.Executor != "" && r.Executor != f.Executor {
		all = append(all, "the name "+r.Executor)
	}
	for _, k := range slices.Sorted(maps.Keys(r.Labels)) {
		if have, ok := f.Labels[k]; !ok {
			all = append(all, "label "+k+"="+r.Labels[k])
		} else if have != r.Labels[k] {
			all = append(all, "label "+k+"="+r.Labels[k]+" (it has "+have+")")
		}
	}
	if len(f.Offers) == 0 {
		return append(all, "any machine to run jobs in")
	}
	var nearest []string
	for i, o := range f.Offers {
		if lacks := r.lacksOf(o); i == 0 || len(lacks) < len(nearest) {
			nearest = lacks
		}
	}
	return append(all, nearest...)
}

func (r Requires) lacksOf(o Offering) (all []string) {
	lack := func(fits bool, name, want, have string) {
		switch {
		case fits:
		case have == "":
			all = append(all, name+" "+want)
		default:
			all = append(all, name+" "+want+" (it has "+have+")")
		}
	}
	lack(r.Arch == o.Arch, "arch", r.Arch, o.Arch)
	same := r
	same.Arch = o.Arch
	lack(same.usable(o), "isolation", r.Isolation, o.Isolation)
	lack(r.Accel == "" || r.Accel == o.Accel, "accel", r.Accel, o.Accel)
	lack(kernelFits(r.Kernel, o.Kernel), "kernel", r.Kernel, o.Kernel)
	for _, want := range r.Features {
		lack(slices.Contains(o.Features, want), "CPU feature", want, "")
	}
	lack(modelFits(r.CPUModel, o.CPUModel), "CPU model", r.CPUModel, o.CPUModel)
	return all
}

// String says what is required, in words for people.
func (r Requires) String() string {
	parts := []string{r.Arch, r.Isolation + " isolation"}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	add("accel", r.Accel)
	add("kernel", r.Kernel)
	add("features", strings.Join(r.Features, " "))
	add("CPU model", r.CPUModel)
	for _, k := range slices.Sorted(maps.Keys(r.Labels)) {
		add("label", k+"="+r.Labels[k])
	}
	add("executor", r.Executor)
	return strings.Join(parts, ", ")
}
