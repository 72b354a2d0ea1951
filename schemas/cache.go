package schemas

// CacheInfo is the body of GET /v1/cache, and of the answer to DELETE /v1/cache.
type CacheInfo struct {
	// Entries are the results that are kept for the tenant, and the jobs that run for one.
	Entries int64 `json:"entries"`
	// Hits are the tenant's jobs that have the result of another one; jobs that
	// are not kept any more are not counted.
	Hits int `json:"hits"`
	// ClearedUS is when the cache was cleared, in microseconds since the Unix
	// epoch; 0 if it was not, or too long ago for anything to be left from before.
	ClearedUS int64 `json:"cleared_us,omitempty"`
}
