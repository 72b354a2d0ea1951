package schemas

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

func (l Limits) validate(ps *problems) {
	const at = pointer("/limits")
	check := func(name string, v int64, r Range, unit string) {
		if v != 0 && (v < r.Min || v > r.Max) {
			ps.add(at.member(name), "want %d to %d %s; it is %d", r.Min, r.Max, unit, v)
		}
	}
	check("wall_ms", l.WallMS, WallRange, "milliseconds")
	check("cpu_ms", l.CPUMS, CPUTimeRange, "milliseconds")
	check("memory_bytes", l.MemoryBytes, MemoryRange, "bytes")
	check("pids", l.Pids, PidsRange, "processes and threads")
	check("scratch_bytes", l.ScratchBytes, ScratchRange, "bytes")
	check("output_bytes", l.OutputBytes, OutputRange, "bytes")
	if l.CPUs != 0 && !validCPUs(l.CPUs) {
		ps.add(at.member("cpus"), "want %g to %g processors in steps of 0.001; it is %g",
			float64(CPURange.Min)/1000, float64(CPURange.Max)/1000, l.CPUs)
	}
	if full := l.withDefaults(); full.MemoryBytes <= MemoryRange.Max && full.ScratchBytes <= ScratchRange.Max &&
		full.MemoryBytes+full.ScratchBytes > MaxTotalMemory {
		ps.add(at, "want memory_bytes and scratch_bytes of at most %d bytes together; they are %d",
			int64(MaxTotalMemory), full.MemoryBytes+full.ScratchBytes)
	}
}

func validCPUs(v float64) bool {
	milli := math.Round(v * 1000)
	return milli >= float64(CPURange.Min) && milli <= float64(CPURange.Max) && milli/1000 == v
}

// validateFit finds jobs whose inputs alone are more than the scratch space holds.
func (s JobSpec) validateFit(ps *problems) {
	var total int64
	for _, f := range s.Files {
		total += f.knownSize()
	}
	if room := s.Limits.withDefaults().ScratchBytes; room >= ScratchRange.Min && total > room {
		ps.add("/limits/scratch_bytes", "want at least the size of all files, %d bytes; it is %d", total, room)
	}
}

// knownSize is the file's size in bytes, as far as the specification tells.
func (f File) knownSize() int64 {
	switch {
	case f.Text != nil:
		return int64(len(*f.Text))
	case f.Base64 != nil:
		return int64(len(*f.Base64)/4*3 - strings.Count(*f.Base64, "="))
	}
	// Bounded, so that a thousand of them cannot overflow the sum.
	return min(max(f.Size, 0), ScratchRange.Max+1)
}

func (r Requires) validate(ps *problems, at pointer) {
	enum := func(name, v string, allowed []string) {
		if v != "" && !slices.Contains(allowed, v) {
			ps.add(at.member(name), "%s", wantOneOf(v, allowed))
		}
	}
	enum("arch", r.Arch, Archs)
	enum("isolation", r.Isolation, Isolations)
	enum("accel", r.Accel, Accels)
	if r.Accel != "" && (r.Isolation == IsolationGVisor || r.Isolation == IsolationContainer) {
		ps.add(at.member("accel"), "is for virtual machines: leave it out, or want isolation vm or strong")
	}
	if r.Kernel != "" && !kernelPattern.MatchString(r.Kernel) {
		ps.add(at.member("kernel"), "want the beginning of a kernel release, such as 6.1")
	}
	if r.CPUModel != "" && (len(r.CPUModel) > maxModel || !modelPattern.MatchString(r.CPUModel)) {
		ps.add(at.member("cpu_model"), "want words of the CPU's name, such as epyc 7763: 1 to 64 printable ASCII characters with a letter or digit")
	}
	if r.Executor != "" && !ValidToken(r.Executor) {
		ps.add(at.member("executor"), "want an executor's id, 1 to 40 of a-z, 0-9 and -")
	}
	if len(r.Features) > MaxFeatures {
		ps.add(at.member("features"), "has %d items; at most %d", len(r.Features), MaxFeatures)
	} else {
		for i, f := range r.Features {
			if !featurePattern.MatchString(f) {
				ps.add(at.member("features").item(i), "want a CPU feature as the kernel names it, 1 to 32 of a-z, 0-9, _ . and -")
			}
		}
	}
	validateLabels(ps, at.member("labels"), r.Labels)
}

func wantOneOf(got string, allowed []string) string {
	msg := "want one of " + strings.Join(allowed, ", ")
	if near := nearest(got, allowed); near != "" {
		msg += fmt.Sprintf("; did you mean %s?", near)
	}
	return msg
}
