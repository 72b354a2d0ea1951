package schemas

// Source says whose result a job has that was not run itself. The objects of
// the result are those of that job's attempt.
type Source struct {
	Job     string `json:"job"`
	Attempt int    `json:"attempt"`
	// EndedUS is when that job ended, in microseconds since the Unix epoch.
	EndedUS int64 `json:"ended_us"`
}

// Produced says whose attempt produced the record's result: its own last one,
// as no attempt begins after one was accepted, or that of its source. Without
// either the attempt is 0.
func (r *Record) Produced() (job string, attempt int) {
	switch {
	case r.Source != nil:
		return r.Source.Job, r.Source.Attempt
	case len(r.Attempts) > 0:
		return r.ID, r.Attempts[len(r.Attempts)-1].N
	}
	return r.ID, 0
}

// ResultKey is the object key of one object of the record's result, such as
// [ObjectArchive]. Nothing else says where they are.
func (r *Record) ResultKey(name string) string {
	job, attempt := r.Produced()
	return AttemptKey(r.Tenant, job, attempt, name)
}
