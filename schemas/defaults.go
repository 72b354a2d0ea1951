package schemas

import (
	"math"
	"runtime"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// A Range is what a limit may be, and what it is when nothing is said.
type Range struct{ Min, Default, Max int64 }

// Ranges of a job's limits; see [Limits] for units. CPUs are in thousandths.
var (
	WallRange    = Range{1, 60_000, 24 * 3600 * 1000}
	CPUTimeRange = Range{1, 0, 64 * 24 * 3600 * 1000} // default: wall × cpus
	CPURange     = Range{50, 1000, 64_000}
	MemoryRange  = Range{16 * mib, 512 * mib, 256 * gib}
	PidsRange    = Range{1, 256, 32_768}
	ScratchRange = Range{1 * mib, 256 * mib, 256 * gib}
	OutputRange  = Range{64 * kib, 256 * mib, 16 * gib}
	// QueueRange is of [JobSpec.QueueTimeoutMS].
	QueueRange = Range{1000, 24 * 3600 * 1000, 30 * 24 * 3600 * 1000}
	// DeadlineRange is of [JobSpec.DeadlineMS]; there is none by default.
	DeadlineRange = Range{1000, 0, 30 * 24 * 3600 * 1000}
)

// Defaults of a job specification.
const (
	DefaultCwd  = "/work"
	OutputDir   = "/output"
	DefaultMode = "0644"

	LaneInteractive = "interactive"
	LaneBatch       = "batch"

	CacheUse     = "use"
	CacheRefresh = "refresh"
	CacheBypass  = "bypass"

	// StdioHead is how much of stdout and stderr, each, a result holds itself, in bytes.
	StdioHead = 64 * kib
	// StdioLog is how much of each is kept in all, in bytes; the rest is read and dropped.
	StdioLog = 16 * mib
)

// CacheModes lists the values of [JobSpec.Cache].
var CacheModes = []string{CacheUse, CacheRefresh, CacheBypass}

// WithDefaults returns the specification with every default written out, so
// that what an executor gets says all that matters. It does not validate.
func (s JobSpec) WithDefaults() JobSpec {
	if s.Cwd == "" {
		s.Cwd = DefaultCwd
	}
	if s.Lane == "" {
		s.Lane = LaneInteractive
	}
	if s.Requires.Isolation == "" {
		s.Requires.Isolation = IsolationStrong
	}
	if s.QueueTimeoutMS == 0 {
		s.QueueTimeoutMS = QueueRange.Default
	}
	s.Limits = s.Limits.withDefaults()
	return s
}

func (l Limits) withDefaults() Limits {
	fill := func(v *int64, r Range) {
		if *v == 0 {
			*v = r.Default
		}
	}
	fill(&l.WallMS, WallRange)
	fill(&l.MemoryBytes, MemoryRange)
	fill(&l.Pids, PidsRange)
	fill(&l.ScratchBytes, ScratchRange)
	fill(&l.OutputBytes, OutputRange)
	if l.CPUs == 0 {
		l.CPUs = float64(CPURange.Default) / 1000
	}
	if l.CPUMS == 0 {
		l.CPUMS = min(int64(math.Ceil(float64(l.WallMS)*l.CPUs)), CPUTimeRange.Max)
	}
	return l
}

// ArchiveBytes is the most that the outputs' archive may have at rest: what the
// limit allows as content, and what packing adds to many small or incompressible files.
func (l Limits) ArchiveBytes() int64 { return l.OutputBytes + l.OutputBytes/32 + archiveSlack }

const archiveSlack = 16 * mib

// CPUsMilli is CPUs in thousandths of a processor.
func (l Limits) CPUsMilli() int64 { return int64(math.Round(l.CPUs * 1000)) }

// HostArch is this program's architecture in the names that jobs use.
func HostArch() string { return runtime.GOARCH }
