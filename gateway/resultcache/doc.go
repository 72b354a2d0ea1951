// Package resultcache is the list of results that may be given again: which job
// has the result of which specification, or runs for it now. It is a list of
// hints. Who takes a result looks at the job's record, which alone says whether
// there is one; an entry that is lost costs a run, and one that is old nothing.
//
// Keys begin with a tenant and its epoch, so that all of a tenant's entries are
// forgotten at once by beginning a new epoch.
//
// It must not know what a job is, nor who submits and runs it.
package resultcache
