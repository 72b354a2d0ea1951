package schemas

// Span is one stage of an attempt. Instants are microseconds since the Unix epoch.
type Span struct {
	Name    string `json:"name"`
	StartUS int64  `json:"start_us"`
	EndUS   int64  `json:"end_us"`
}

// Names of spans, in the order of a job's life. Booted and restored exclude each other.
const (
	SpanQueued    = "queued"    // accepted by the gateway → offer received by an executor
	SpanClaimed   = "claimed"   // offer received → claim granted
	SpanStaged    = "staged"    // specification, image and inputs fetched
	SpanBooted    = "booted"    // machine started → guest ready
	SpanRestored  = "restored"  // snapshot restored → guest ready
	SpanPrepared  = "prepared"  // identity, root filesystem and inputs set up in the guest
	SpanRunning   = "running"   // the program's start → its end
	SpanCollected = "collected" // its end → outputs on the host, packed
	SpanUploaded  = "uploaded"  // → outputs and result in the object store
	SpanReported  = "reported"  // → the record is terminal
)

// SpanNames lists all of them, in order.
var SpanNames = []string{SpanQueued, SpanClaimed, SpanStaged, SpanBooted, SpanRestored, SpanPrepared, SpanRunning, SpanCollected, SpanUploaded, SpanReported}

// Names of limits, as a result reports them.
const (
	LimitWall    = "wall"
	LimitCPU     = "cpu"
	LimitMemory  = "memory"
	LimitPids    = "pids"
	LimitScratch = "scratch"
	LimitOutput  = "output"
)

// LimitNames lists all of them.
var LimitNames = []string{LimitWall, LimitCPU, LimitMemory, LimitPids, LimitScratch, LimitOutput}

// Outcome is how the user's program ended: by itself with a code, by a signal,
// or because it hit a limit.
type Outcome struct {
	// ExitCode is set when the program ended by itself; 127 if it was not found, 126 if it could not be executed.
	ExitCode *int `json:"exit_code,omitempty"`
	// Signal that ended it: "SIGSEGV".
	Signal string `json:"signal,omitempty"`
	// Limit that ended it: one of [LimitNames].
	Limit string `json:"limit,omitempty"`
	// LimitsHit are all limits that it ran into, also those it survived.
	LimitsHit []string `json:"limits_hit,omitempty"`
	// Message says in one line what exit code and signal do not.
	Message string `json:"message,omitempty"`
}

// State is succeeded or failed.
func (o Outcome) State() State {
	if o.Limit == "" && o.Signal == "" && o.ExitCode != nil && *o.ExitCode == 0 {
		return StateSucceeded
	}
	return StateFailed
}

// Usage is what all processes of the job used together.
type Usage struct {
	UserUS   int64 `json:"user_us"`
	SystemUS int64 `json:"system_us"`
	// MaxRSSBytes is the largest process; PeakMemoryBytes all of the job with its scratch.
	MaxRSSBytes     int64 `json:"max_rss_bytes"`
	PeakMemoryBytes int64 `json:"peak_memory_bytes,omitempty"`
	// HostCPUUS is what running the machine cost its host.
	HostCPUUS int64 `json:"host_cpu_us,omitempty"`
}

// Stdio is what a result keeps of stdout or stderr.
type Stdio struct {
	// Text is the head, at most [StdioHead] bytes, invalid UTF-8 replaced; Base64 is the same
	// head as it was, set only where replacing changed it.
	Text   string `json:"text"`
	Base64 string `json:"base64,omitempty"`
	// Bytes is how much was kept, at most [StdioLog]; Truncated says that the program wrote more than Text holds.
	Bytes     int64 `json:"bytes"`
	Truncated bool  `json:"truncated,omitempty"`
	// Log is the object that holds more than the head, zstd-compressed: up to [StdioLog] bytes.
	// It is set only when the program wrote more than the head.
	Log *Object `json:"log,omitempty"`
}

// Output is one file that the program left under /output.
type Output struct {
	// Path is relative to /output; bytes that are not UTF-8 are replaced, and PathBase64 then holds the true name.
	Path       string `json:"path"`
	PathBase64 string `json:"path_base64,omitempty"`
	// Type is file, dir or symlink.
	Type   string `json:"type"`
	Size   int64  `json:"size"`
	Mode   string `json:"mode"`
	SHA256 string `json:"sha256,omitempty"`
	// MediaType is guessed from name and content.
	MediaType string `json:"media_type,omitempty"`
	// Link is a symlink's target; it never leaves /output.
	Link string `json:"link,omitempty"`
}

// Skipped is something under /output that was not collected.
type Skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// MaxListedOutputs bounds the outputs that a result lists; the index object lists all.
const MaxListedOutputs = 1000

// RanOn says what ran the job.
type RanOn struct {
	Executor    string `json:"executor"`
	Arch        string `json:"arch"`
	Isolation   string `json:"isolation"`
	CPUModel    string `json:"cpu_model,omitempty"`
	Accel       string `json:"accel,omitempty"`
	Kernel      string `json:"kernel,omitempty"`
	ImageDigest string `json:"image_digest"`
	GuestDigest string `json:"guest_digest,omitempty"`
	// Machine is the machine's memory in bytes.
	MachineBytes int64 `json:"machine_bytes,omitempty"`
	// Start is how the machine came to be: booted, restored from a snapshot, or
	// pooled: restored before the job was there.
	Start string `json:"start,omitempty"`
}

// Values of RanOn.Start.
const (
	StartBooted   = "booted"
	StartRestored = "restored"
	StartPooled   = "pooled"
)

// Starts lists them.
var Starts = []string{StartBooted, StartRestored, StartPooled}

// Result is what one attempt produced. It is an object in the store, written
// by the executor, and joined into the job by the API.
type Result struct {
	Version int     `json:"version"`
	Job     string  `json:"job"`
	Attempt int     `json:"attempt"`
	Outcome Outcome `json:"outcome"`
	Usage   Usage   `json:"usage"`
	Spans   []Span  `json:"spans"`
	RanOn   RanOn   `json:"ran_on"`
	Stdout  Stdio   `json:"stdout"`
	Stderr  Stdio   `json:"stderr"`
	// Outputs lists at most [MaxListedOutputs]; OutputsTotal counts all.
	Outputs      []Output  `json:"outputs"`
	OutputsTotal int       `json:"outputs_total"`
	OutputsBytes int64     `json:"outputs_bytes"`
	Skipped      []Skipped `json:"skipped,omitempty"`
	SkippedTotal int       `json:"skipped_total,omitempty"`
	// Archive and Index are the outputs' objects; nil without outputs.
	Archive *Object `json:"archive,omitempty"`
	Index   *Object `json:"index,omitempty"`
}

// ResultVersion is the version this package writes.
const ResultVersion = 1

// MaxIndexBytes bounds the index of an attempt's outputs: 100,000 files with long names.
const MaxIndexBytes = 64 * mib

// MaxResultBytes bounds a result object.
const MaxResultBytes = 4 * mib

// Object names one object of a job: its base name, size in bytes and digest ("sha256:" and hex).
type Object struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}
