package schemas

import (
	"bytes"
	"encoding/json"
)

// JobSpec says what to run, on what, within which limits. It is what a client
// posts, and, after [JobSpec.WithDefaults] and resolution by the gateway, what
// an executor gets.
type JobSpec struct {
	// Image is a catalog name ("gcc"), a reference ("docker.io/library/gcc:14")
	// or a reference with a digest. Required.
	Image string `json:"image"`
	// Entrypoint replaces the image's entrypoint. Nil keeps it; an empty list removes it.
	Entrypoint *[]string `json:"entrypoint,omitempty"`
	// Args replace the image's default command.
	Args []string `json:"args,omitempty"`
	// Env is added to the image's environment; a name given here wins.
	Env map[string]string `json:"env,omitempty"`
	// Cwd is the absolute working directory; default /work.
	Cwd string `json:"cwd,omitempty"`
	// User is uid, uid:gid, name or name:group as the image knows them; default the image's.
	User string `json:"user,omitempty"`
	// Stdin is what the program reads; default empty.
	Stdin *Stdin `json:"stdin,omitempty"`
	// Files are placed before the start. A relative path is relative to Cwd.
	Files map[string]File `json:"files,omitempty"`
	// Outputs are globs relative to /output ("**" crosses folders); default all.
	Outputs []string `json:"outputs,omitempty"`
	Limits  Limits   `json:"limits,omitzero"`
	// Requires says which machines may run the job; default any with strong isolation.
	Requires Requires `json:"requires,omitzero"`
	// Cache is "use" (an earlier result of the same job is taken, if there is one),
	// "refresh" (it is run, and its result is kept for others) or "bypass"; default
	// what the catalog says of the image, else bypass.
	Cache string `json:"cache,omitempty"`
	// CacheFailures also keeps and takes results with an exit code that is not 0.
	// Results that a signal or a limit ended are never kept.
	CacheFailures bool `json:"cache_failures,omitempty"`
	// Lane is "interactive" (default) or "batch"; executors take interactive jobs first.
	Lane string `json:"lane,omitempty"`
	// QueueTimeoutMS is how long it may wait for an executor each time that it is
	// queued, in milliseconds; then it is expired. Default 24 h.
	QueueTimeoutMS int64 `json:"queue_timeout_ms,omitempty"`
	// DeadlineMS is within which time after its submission it must have ended, all
	// attempts together, in milliseconds; then it is stopped and expired. 0 is no deadline.
	DeadlineMS int64 `json:"deadline_ms,omitempty"`
	// Labels are the client's own, for filters: at most 16, keys and values up to 63 bytes.
	Labels map[string]string `json:"labels,omitempty"`
	// IdempotencyKey makes a repeated submit return the first job; up to 128 bytes.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
	// Callback is told when the job has ended; default nobody.
	Callback *Callback `json:"callback,omitempty"`
}

// File is one input: exactly one of Text, Base64 and SHA256 is set. In JSON a
// plain string stands for {"text": …}.
type File struct {
	// Text is the content as UTF-8.
	Text *string `json:"text,omitempty"`
	// Base64 is the content in standard base 64 with padding.
	Base64 *string `json:"base64,omitempty"`
	// SHA256 names an uploaded blob: "sha256:" and 64 hex digits.
	SHA256 string `json:"sha256,omitempty"`
	// Size of the blob in bytes. The gateway fills it in.
	Size int64 `json:"size,omitempty"`
	// Mode is the permission in octal, "0644" by default.
	Mode string `json:"mode,omitempty"`
}

// Stdin is the program's standard input: exactly one field is set.
type Stdin struct {
	Text   *string `json:"text,omitempty"`
	Base64 *string `json:"base64,omitempty"`
	// File is a key of Files.
	File string `json:"file,omitempty"`
}

// Limits bound a job. Zero means the default; [JobSpec.WithDefaults] fills them in.
type Limits struct {
	// WallMS is the time from the program's start to its end, in milliseconds.
	WallMS int64 `json:"wall_ms,omitempty"`
	// CPUMS is processor time of all processes together, in milliseconds; default WallMS × CPUs.
	CPUMS int64 `json:"cpu_ms,omitempty"`
	// CPUs is how many processors' worth of time per second it may use; steps of 0.001.
	CPUs float64 `json:"cpus,omitempty"`
	// MemoryBytes counts anonymous memory and what the job writes to its scratch space, which is in memory.
	MemoryBytes int64 `json:"memory_bytes,omitempty"`
	// Pids is the number of processes and threads at one time.
	Pids int64 `json:"pids,omitempty"`
	// ScratchBytes is what inputs and the job's written files may take, /output among them.
	ScratchBytes int64 `json:"scratch_bytes,omitempty"`
	// OutputBytes is the size of all collected outputs as a tar.
	OutputBytes int64 `json:"output_bytes,omitempty"`
}

// UnmarshalJSON accepts a string for a text file. [DecodeJobSpec] refuses unknown members.
func (f *File) UnmarshalJSON(data []byte) error {
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '"' {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		*f = File{Text: &text}
		return nil
	}
	type plain File
	return json.Unmarshal(data, (*plain)(f))
}
