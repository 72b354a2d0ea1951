package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Ways to isolate a job.
const (
	// IsolationStrong lets the executor choose: a VM with hardware
	// acceleration, else gVisor, else an emulated VM; never a container.
	IsolationStrong    = "strong"
	IsolationVM        = "vm"
	IsolationGVisor    = "gvisor"
	IsolationContainer = "container"
)

// KernelNoop is the kernel of executors that run nothing and pretend to: a job
// gets there only if it asks for it.
const KernelNoop = "noop"

// Architectures and accelerators, as Go and QEMU name them.
var (
	Archs      = []string{"amd64", "arm64", "riscv64"}
	Accels     = []string{"kvm", "hvf", "tcg"}
	Isolations = []string{IsolationStrong, IsolationVM, IsolationGVisor, IsolationContainer}
)

// Requires says what a machine must have to run the job. Memory and limits are
// never part of it: every executor has the same range of them.
type Requires struct {
	// Arch is amd64, arm64 or riscv64; default: one that the image has and an executor serves.
	Arch string `json:"arch,omitempty"`
	// Isolation is strong (default), vm, gvisor or container.
	Isolation string `json:"isolation,omitempty"`
	// Accel is kvm, hvf or tcg; default any.
	Accel string `json:"accel,omitempty"`
	// Kernel is the beginning of a guest kernel's release, before any but a digit: "6.1" fits 6.1.0-32, not 6.12; default any.
	Kernel string `json:"kernel,omitempty"`
	// Features are CPU features as the kernel names them: avx2, sve, v.
	Features []string `json:"features,omitempty"`
	// CPUModel are words of the processor's name as the job sees it, in any case
	// and order: "epyc 7763" fits "AMD EPYC 7763 64-Core Processor"; default any.
	CPUModel string `json:"cpu_model,omitempty"`
	// Labels must all be on the executor, with these values.
	Labels map[string]string `json:"labels,omitempty"`
	// Executor is the id of the one executor that may run the job.
	Executor string `json:"executor,omitempty"`
}

// Canonical returns r without the order and repetition of features and of words
// of the CPU's name, so that equal requirements are equal values in JSON.
func (r Requires) Canonical() Requires {
	r.Features = slices.Compact(slices.Sorted(slices.Values(r.Features)))
	if len(r.Features) == 0 {
		r.Features = nil
	}
	r.CPUModel = strings.Join(slices.Compact(slices.Sorted(slices.Values(modelWords(r.CPUModel)))), " ")
	r.Labels = maps.Clone(r.Labels)
	if len(r.Labels) == 0 {
		r.Labels = nil
	}
	return r
}

// Pool is the subject token under which jobs with these requirements are
// offered: readable where it can be, a hash of the requirements where not.
func (r Requires) Pool() string {
	r = r.Canonical()
	base := r.Arch + "-" + r.Isolation
	r.Arch, r.Isolation = "", ""
	rest, err := json.Marshal(r)
	if err != nil {
		panic("schemas: requirements hold strings alone: " + err.Error())
	}
	if string(rest) == "{}" {
		return base
	}
	sum := sha256.Sum256(rest)
	return base + "-" + hex.EncodeToString(sum[:6])
}

// SatisfiedBy reports whether an executor with these facts may run the job.
func (r Requires) SatisfiedBy(f Facts) bool {
	return (r.Executor == "" || r.Executor == f.Executor) &&
		hasLabels(f.Labels, r.Labels) &&
		slices.ContainsFunc(f.Offers, func(o Offering) bool { return r.satisfiedByOffering(o) })
}

func (r Requires) satisfiedByOffering(o Offering) bool {
	return r.usable(o) &&
		(r.Accel == "" || r.Accel == o.Accel) &&
		kernelFits(r.Kernel, o.Kernel) &&
		modelFits(r.CPUModel, o.CPUModel) &&
		!slices.ContainsFunc(r.Features, func(want string) bool { return !slices.Contains(o.Features, want) })
}

// usable: the job could run in such a machine, if that had what else it requires.
func (r Requires) usable(o Offering) bool {
	return r.Arch == o.Arch &&
		(r.Isolation == o.Isolation || r.Isolation == IsolationStrong && (o.Isolation == IsolationVM || o.Isolation == IsolationGVisor))
}

func kernelFits(want, have string) bool {
	rest, ok := strings.CutPrefix(have, want)
	return ok && (want == "" || rest == "" || !isDigit(rest[0]))
}

func modelFits(want, have string) bool {
	if want == "" {
		return true
	}
	words := modelWords(have)
	return !slices.ContainsFunc(modelWords(want), func(w string) bool { return !slices.Contains(words, w) })
}

// modelWords takes a processor's name apart: "Intel(R) Xeon(R) Gold 6342" is
// intel, r, xeon, r, gold, 6342.
func modelWords(name string) []string {
	return strings.FieldsFunc(strings.ToLower(name), func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) })
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func hasLabels(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}
