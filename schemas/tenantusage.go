package schemas

// TenantUsage is the body of GET /v1/usage: what a tenant has at this moment, and
// how much it may have. A bound that is 0 is none.
type TenantUsage struct {
	Tenant string `json:"tenant"`
	// Queued and Running are its jobs that have not ended.
	Queued     int `json:"queued"`
	MaxQueued  int `json:"max_queued"`
	Running    int `json:"running"`
	MaxRunning int `json:"max_running,omitempty"`
	// Requirements are the different ones among its jobs, of now and of the last minutes.
	Requirements    int `json:"requirements"`
	MaxRequirements int `json:"max_requirements"`
	// StoredBytes is what its inputs, specifications, outputs and logs take in the
	// object store: as they were counted last, and, roughly, what came and went since.
	StoredBytes    int64 `json:"stored_bytes"`
	MaxStoredBytes int64 `json:"max_stored_bytes,omitempty"`
	// CountedUS is when they were counted, in microseconds since the Unix epoch; 0
	// if they were not yet.
	CountedUS int64 `json:"counted_us,omitempty"`
	// Weight is its share of the executors beside other tenants'.
	Weight int `json:"weight"`
	// RequestsPerS is how often the token that asked may be used, and RequestsAtOnce
	// how many may come at one time.
	RequestsPerS   float64 `json:"requests_per_s,omitempty"`
	RequestsAtOnce int     `json:"requests_at_once,omitempty"`
}
