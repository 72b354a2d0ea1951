package guestproto

// Ready is the guest's first message after a boot. As JSON it is kept with a snapshot.
type Ready struct {
	// Protocol is the guest's Version.
	Protocol int `json:"protocol"`
	// Arch is amd64, arm64 or riscv64.
	Arch     string `json:"arch"`
	Kernel   string `json:"kernel"`
	CPUModel string `json:"cpu_model"`
	// Features are the processor's, as the kernel names them, sorted, without doubles: at
	// most MaxFeatures of 1 to 32 of a-z, 0-9, _ . and -.
	Features []string `json:"features,omitempty"`
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
	TookUS int64
}

// Frozen answers Freeze.
type Frozen struct {
	// Bytes is what the frozen layer holds.
	Bytes int64
}

// Pong answers Ping.
type Pong struct {
	Nonce uint64
}

// Staged says that the inputs lie in place and the job is prepared.
type Staged struct {
	Bytes    int64
	Entries  int64
	UnpackUS int64
	// PrepareUS is the time for the sandbox, without the unpacking.
	PrepareUS int64
}

// Started says that the program was executed.
type Started struct {
	// SinceStartUS is the time from the guest's reading Start (or being prepared, if that was later) to now.
	SinceStartUS int64
}

// StdinTaken confirms stdin bytes.
type StdinTaken struct {
	// Total counts the bytes that left the guest's buffer since the run began, written or dropped.
	Total int64
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
	Code int
	// Signal is the number of the signal that ended it, or 0.
	Signal int
	// Limit names the limit that ended the job: wall, cpu or memory; a broken Output limit is told by Collected.
	Limit string
	// LimitsHit are all limits that were seen to be hit, sorted, without doubles.
	LimitsHit []string
	// NotStarted says that the program never ran (Code 126 or 127, or a bad cwd, user or input); Message says why.
	NotStarted bool
	// Message is one line for the user, at most 1 KiB.
	Message string
	// Killed says that a Kill ended it.
	Killed          bool
	StdoutTruncated bool
	StderrTruncated bool
	Rusage          Rusage
	// WallUS is the time from exec to the end of the first process.
	WallUS int64
	// ReapUS is the time from there to this message: killing the rest, draining the pipes.
	ReapUS int64
}

// Rusage is what the job used.
type Rusage struct {
	// UserUS and SysUS are of all the job's processes if the guest can count them, else of those waited for.
	UserUS int64
	SysUS  int64
	// MaxRSS in bytes, of the largest single process.
	MaxRSS int64
	// MemoryPeak in bytes, of the cgroup; 0 if unknown.
	MemoryPeak    int64
	MinorFaults   int64
	MajorFaults   int64
	VoluntarySw   int64
	InvoluntarySw int64
}

// Collected ends a run: the output archive is complete, on its disk or in the Output frames before.
type Collected struct {
	// Bytes of the tar; 0 if there is nothing. There is no digest of it: the guest is not believed, the
	// host hashes what it reads, and a digest here would cost an emulated machine most of the packing time.
	Bytes int64
	// Entries in the tar.
	Entries int64
	// Skipped counts what can't be an output (devices, FIFOs, sockets); SkippedPaths names at most 16 of
	// them, quoted as Go strings.
	Skipped      int64
	SkippedPaths []string
	// Limit is "output" if the outputs exceeded their limit; the tar is then cut at an entry's border.
	Limit string
	// PackUS is the time it took.
	PackUS int64
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
	Code string
	// Message is at most 1 KiB.
	Message string
}
