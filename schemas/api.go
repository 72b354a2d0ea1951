package schemas

// Job is the document that the API serves: the record joined with its objects.
type Job struct {
	ID     string `json:"id"`
	Tenant string `json:"tenant"`
	State  State  `json:"state"`
	// Image is left out, as is all but id, tenant, state, created and ended, for
	// a caller that may not read.
	Image   ImageRef          `json:"image,omitzero"`
	Labels  map[string]string `json:"labels,omitempty"`
	Lane    string            `json:"lane,omitempty"`
	Pool    string            `json:"pool,omitempty"`
	Created int64             `json:"created_us"`
	Ended   int64             `json:"ended_us,omitempty"`
	// Purged is when the job's outputs expired: files, long logs, and a result that is not small.
	Purged int64 `json:"purged_us,omitempty"`
	// Cancelling is set from the request to cancel until the end.
	Cancelling bool      `json:"cancelling,omitempty"`
	Attempts   []Attempt `json:"attempts,omitempty"`
	Outcome    *Outcome  `json:"outcome,omitempty"`
	Failure    *Failure  `json:"failure,omitempty"`
	// Waiting says why a queued job waits, when it is not only its turn.
	Waiting string `json:"waiting,omitempty"`
	// Cached is set if the result is not the job's own but that of an earlier job.
	Cached *Source `json:"cached,omitempty"`
	// Spec and Result are there in GET /v1/jobs/{id}, not in lists.
	Spec   *JobSpec `json:"spec,omitempty"`
	Result *Result  `json:"result,omitempty"`
	// Lost names what is left out because the object store has lost it, or has other
	// bytes in its place: some of [LostObjects]. What has expired is not lost.
	Lost []string `json:"lost,omitempty"`
}

// What of a job's document can be lost.
const (
	LostSpec   = "spec"
	LostResult = "result"
)

// LostObjects lists them.
var LostObjects = []string{LostSpec, LostResult}

// JobList is one page of jobs, the newest first.
type JobList struct {
	Jobs []Job `json:"jobs"`
	// Next is the cursor of the next page, empty on the last.
	Next string `json:"next,omitempty"`
}

// States of an executor as the API tells them.
const (
	ExecutorUp       = "up"
	ExecutorDraining = "draining" // it takes no more jobs
	ExecutorLost     = "lost"     // it was silent for a lease
)

// Executor is what the API tells of an executor.
type Executor struct {
	Facts
	// State is [ExecutorUp], [ExecutorDraining] or [ExecutorLost].
	State  string `json:"state"`
	SeenUS int64  `json:"seen_us"`
	Busy   int    `json:"busy"`
	Held   []Held `json:"held,omitempty"`
}

// ExecutorList is the body of GET /v1/executors.
type ExecutorList struct {
	Executors []Executor `json:"executors"`
}

// CatalogImage is a short name that the gateway's catalog offers.
type CatalogImage struct {
	Name        string   `json:"name"`
	Reference   string   `json:"reference"`
	Description string   `json:"description,omitempty"`
	Archs       []string `json:"archs,omitempty"`
	// Cache is the default of [JobSpec.Cache] for jobs with this image: "use", or empty for bypass.
	Cache string `json:"cache,omitempty"`
}

// ImageList is the body of GET /v1/images.
type ImageList struct {
	Images []CatalogImage `json:"images"`
	// Only says that no other image may be run.
	Only bool `json:"only,omitempty"`
}

// MissingRequest asks which blobs the tenant has not uploaded.
type MissingRequest struct {
	SHA256 []string `json:"sha256"`
}

// MissingReply lists them.
type MissingReply struct {
	Missing []string `json:"missing"`
}

// MaxMissing bounds MissingRequest.SHA256.
const MaxMissing = 1000

// ProblemTypePrefix begins the type of every problem document.
const ProblemTypePrefix = "urn:program-explorer:problem:"

// ProblemDocument is an error as RFC 9457 has it.
type ProblemDocument struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Hint says what to do about it.
	Hint string `json:"hint,omitempty"`
	// Problems lists everything wrong with a specification.
	Problems []Problem `json:"problems,omitempty"`
	// Missing are the digests of inputs that have not been uploaded, if nothing else
	// is wrong: upload them, and submit again.
	Missing []string `json:"missing,omitempty"`
}

func (p *ProblemDocument) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Detail
}

// Problem is one thing wrong with a document.
type Problem struct {
	// Pointer is a JSON pointer to the offending value (RFC 6901).
	Pointer string `json:"pointer"`
	Message string `json:"message"`
}
