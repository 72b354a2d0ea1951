package guestproto

// Identity makes a machine different from every other clone of its snapshot. It must be
// answered with IdentityDone before any Rootfs or Job; a restored machine gets it again. After a run
// the answer comes when nothing of that run is left, and the next one's sandbox waits for its job.
// The names may be those from before: then a job starts some milliseconds sooner.
type Identity struct {
	// Entropy is fresh random bytes from the host, 64 to 1024.
	Entropy []byte
	// ClockNS is the time now, in nanoseconds since the Unix epoch.
	ClockNS int64
	// Hostname is 1 to 63 of [a-z0-9-].
	Hostname string
	// MachineID is 32 lower-case hexadecimal digits, as in /etc/machine-id.
	MachineID string
}

// Filesystems of Rootfs.
const (
	// FSErofs is an EROFS image on a block device.
	FSErofs = "erofs"
	// FSHost says that the host has made the root filesystem already (gVisor, containers).
	FSHost = "host"
)

// Rootfs names the image's root filesystem.
type Rootfs struct {
	FS string
	// Serial is the block device's serial; empty with FSHost.
	Serial string
	// Data are serials of further devices that the EROFS refers to, in the order of its device table.
	Data []string
}

// Freeze asks that what the last run wrote, but for /output, becomes a read-only layer under every
// later run, above those that were frozen before. So each of several warm-ups sees what the earlier
// ones wrote, and a job sees all of it. It is answered when the next run's sandbox waits for its job.
type Freeze struct{}

// MaxFrozen is how often one machine can freeze: the names of all layers have to fit into 255 bytes.
const MaxFrozen = 16

// Ping asks for a Pong with the same Nonce.
type Ping struct {
	Nonce uint64
}

// Poweroff stops the machine at once.
type Poweroff struct{}

// Job says what to run. The guest unpacks its inputs and prepares it up to the exec, then waits for Start.
type Job struct {
	// Argv is the program and its arguments, at least one. Without a slash, Argv[0] is looked up in Env's PATH.
	Argv []string
	// Rehearse runs, instead of a program of the image, one of the guest's own that ends at once with code 0;
	// Argv is empty then. All else is as in any other job, and done by the same code: it readies a
	// machine for its first job where nothing is known of the image.
	Rehearse bool
	// Env is NAME=value, complete: nothing is inherited.
	Env []string
	// Cwd is absolute; it is made if it is missing. Inputs are unpacked relative to it.
	Cwd string
	// User is OCI's user[:group], by number or by name in the image; empty is 0:0.
	User   string
	Limits Limits
	Input  Input
	Output Output
	Stdin  Stdin
}

// Limits of one job. Zero means "not limited by the guest", except for WallMS, Scratch and Log, which are wanted.
type Limits struct {
	WallMS int64
	// CPUMS is processor time of all processes together.
	CPUMS int64
	// CPUsMilli is the share of processors, in thousandths of one.
	CPUsMilli int64
	// Memory in bytes, for all processes and what they write to scratch.
	Memory int64
	PIDs   int64
	// Scratch is the size in bytes of the writable layer over the image; /output lies in it too.
	Scratch int64
	// Output is the most bytes that the packed outputs may have.
	Output int64
	// Log is the most bytes sent of stdout, and of stderr; what comes after is read and dropped.
	Log int64
}

// Where inputs, outputs and stdin go.
const (
	ViaNone    = "none"
	ViaChannel = "channel"
	ViaDisk    = "disk"
	ViaFile    = "file"
)

// Input is a plain tar of the job's files.
type Input struct {
	// Via is none, channel (Input frames and InputEnd) or disk.
	Via string
	// Serial and Size name the disk and how many bytes of it are the tar.
	Serial string
	Size   int64
	// Root says that the tar's names are relative to / of the job; else they are relative to Job.Cwd.
	Root bool
}

// Output is a plain tar of what Patterns select under /output.
type Output struct {
	// Via is none, channel (Output frames, ended by Collected) or disk.
	Via    string
	Serial string
	// Patterns are globs relative to /output; none selects everything.
	Patterns []string
}

// Stdin of the job.
type Stdin struct {
	// Via is none, channel (Stdin frames and StdinEnd) or file.
	Via string
	// Path is a file of the job's, relative to Cwd or absolute in the image, with Via file.
	Path string
}

// InputEnd ends the input archive.
type InputEnd struct {
	// Size is the number of bytes sent in Input frames.
	Size int64
}

// Start lets the prepared job go.
type Start struct{}

// StdinEnd closes the job's standard input.
type StdinEnd struct{}

// Kill ends the job. Its Exit carries Reason as its message and Limit as the limit, if one is given
// (the host's clock has the last word on wall).
type Kill struct {
	Reason string
	Limit  string
}
