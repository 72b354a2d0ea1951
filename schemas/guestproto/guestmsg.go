package guestproto

// Ready is the guest's first message after a boot.
type Ready struct {
	// Protocol is the guest's Version.
	Protocol int `json:"protocol"`
	// Arch is amd64, arm64 or riscv64.
	Arch     string `json:"arch"`
	Kernel   string `json:"kernel"`
	CPUModel string `json:"cpu_model"`
	// Guest is the version of guestrd.
	Guest string `json:"guest"`
	// Enforces are the limits that this guest enforces itself; the others are the runner's.
	Enforces []string `json:"enforces"`
	// BootUS is the guest's uptime in microseconds.
	BootUS int64 `json:"boot_us"`
}

// IdentityDone says that random numbers, clock and names are this machine's own.
type IdentityDone struct{}

// Mounted says that the image is mounted.
type Mounted struct {
	TookUS int64 `json:"took_us"`
}

// Frozen answers Freeze.
type Frozen struct {
	// Bytes is what the frozen layer holds.
	Bytes int64 `json:"bytes"`
}

// Pong answers Ping.
type Pong struct {
	Nonce uint64 `json:"nonce"`
}

// Staged says that the inputs lie in place and the job is prepared.
type Staged struct {
	Bytes    int64 `json:"bytes"`
	Entries  int64 `json:"entries"`
	UnpackUS int64 `json:"unpack_us"`
	// PrepareUS is the time for the sandbox, without the unpacking.
	PrepareUS int64 `json:"prepare_us"`
}

// Started says that the program was executed.
type Started struct {
	// SinceStartUS is the time from the guest's reading Start (or being prepared, if that was later) to now.
	SinceStartUS int64 `json:"since_start_us"`
}

// StdinTaken confirms stdin bytes.
type StdinTaken struct {
	// Total counts the bytes that left the guest's buffer since the run began, written or dropped.
	Total int64 `json:"total"`
}

// Names of limits in Exit and Ready.
const (
	LimitWall    = "wall"
	LimitCPU     = "cpu"
	LimitMemory  = "memory"
	LimitPIDs    = "pids"
	LimitScratch = "scratch"
	LimitOutput  = "output"
	LimitLog     = "log"
)

// Exit codes that are not the program's own, as a shell has them.
const (
	CodeNotExecutable = 126
	CodeNotFound      = 127
)

// Exit says how the program ended. Everything in the job's cgroup is dead by then.
type Exit struct {
	// Code is the exit code, 0 to 255; 0 when a signal ended it.
	Code int `json:"code"`
	// Signal is the number of the signal that ended it, or 0.
	Signal int `json:"signal,omitempty"`
	// Limit names the limit that ended the job: wall, cpu or memory; a broken Output limit is told by Collected.
	Limit string `json:"limit,omitempty"`
	// LimitsHit are all limits that were seen to be hit, sorted, without doubles.
	LimitsHit []string `json:"limits_hit,omitempty"`
	// NotStarted says that the program never ran (Code 126 or 127, or a bad cwd, user or input); Message says why.
	NotStarted bool `json:"not_started,omitempty"`
	// Message is one line for the user, at most 1 KiB.
	Message string `json:"message,omitempty"`
	// Killed says that a Kill ended it.
	Killed          bool   `json:"killed,omitempty"`
	StdoutTruncated bool   `json:"stdout_truncated,omitempty"`
	StderrTruncated bool   `json:"stderr_truncated,omitempty"`
	Rusage          Rusage `json:"rusage"`
	// WallUS is the time from exec to the end of the first process.
	WallUS int64 `json:"wall_us"`
	// ReapUS is the time from there to this message: killing the rest, draining the pipes.
	ReapUS int64 `json:"reap_us"`
}

// Rusage is what the job used.
type Rusage struct {
	// UserUS and SysUS are of all the job's processes if the guest can count them, else of those waited for.
	UserUS int64 `json:"user_us"`
	SysUS  int64 `json:"sys_us"`
	// MaxRSS in bytes, of the largest single process.
	MaxRSS int64 `json:"max_rss"`
	// MemoryPeak in bytes, of the cgroup; 0 if unknown.
	MemoryPeak    int64 `json:"memory_peak,omitempty"`
	MinorFaults   int64 `json:"minor_faults"`
	MajorFaults   int64 `json:"major_faults"`
	VoluntarySw   int64 `json:"voluntary_switches"`
	InvoluntarySw int64 `json:"involuntary_switches"`
}

// Collected ends a run: the output archive is complete, on its disk or in the Output frames before.
type Collected struct {
	// Bytes of the tar; 0 if there is nothing. There is no digest of it: the guest is not believed, the
	// host hashes what it reads, and a digest here would cost an emulated machine most of the packing time.
	Bytes int64 `json:"bytes"`
	// Entries in the tar.
	Entries int64 `json:"entries"`
	// Skipped counts what can't be an output (devices, FIFOs, sockets); SkippedPaths names at most 16 of
	// them, quoted as Go strings.
	Skipped      int64    `json:"skipped,omitempty"`
	SkippedPaths []string `json:"skipped_paths,omitempty"`
	// Limit is "output" if the outputs exceeded their limit; the tar is then cut at an entry's border.
	Limit string `json:"limit,omitempty"`
	// PackUS is the time it took.
	PackUS int64 `json:"pack_us"`
}

// Codes of Fault.
const (
	FaultSetup    = "setup"    // the machine could not be set up
	FaultIdentity = "identity" // reseeding, clock or names failed: the machine must not run a job
	FaultRootfs   = "rootfs"   // the image could not be mounted
	FaultInput    = "input"    // the input archive could not be read or unpacked
	FaultJob      = "job"      // the job could not be prepared, by no fault of its own
	FaultOutput   = "output"   // the outputs could not be packed
	FaultProtocol = "protocol" // the host's frames made no sense
)

// Fault is the platform's failure, never the job's. The guest stops after it.
type Fault struct {
	Code string `json:"code"`
	// Message is at most 1 KiB.
	Message string `json:"message"`
}
