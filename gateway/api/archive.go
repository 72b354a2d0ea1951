package api

import (
	"context"

	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/schemas"
)

// storedObject is an object as a record or result names it, and where it lies.
type storedObject struct {
	key string
	schemas.Object
}

// outputArchive is what an ended job left: where its archive and that one's index lie.
type outputArchive struct {
	archive, index storedObject
}

// archive finds a job's outputs, and reads their index, which may be large: nobody
// should hold it while something is sent. A job that ended without any gives nil.
func (a *API) archive(ctx context.Context, r schemas.Record) (*outputArchive, *outputIndex, error) {
	if !r.State.Terminal() {
		return nil, nil, kindNotEnded.problem("job "+r.ID+" is "+string(r.State)+"; its outputs are there once it has ended",
			"GET /v1/jobs/"+r.ID+"?wait=30s waits for its end")
	}
	if r.PurgedUS != 0 {
		return nil, nil, expired(r)
	}
	if !r.HasResult() {
		return nil, nil, kindNotFound.problem("job "+r.ID+" is "+string(r.State)+" and has no outputs", "")
	}
	result, err := a.result(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	if result.Archive == nil || result.Index == nil {
		return nil, nil, nil
	}
	o := &outputArchive{archive: storedObject{r.ResultKey(result.Archive.Name), *result.Archive}, index: storedObject{r.ResultKey(result.Index.Name), *result.Index}}
	index, err := a.indexes.read(ctx, o.index.key, o.index.Object)
	if err != nil {
		return nil, nil, err
	}
	if index.ArchiveSize != o.archive.Size || index.ArchiveSHA256 != o.archive.SHA256 {
		return nil, nil, &jobresult.LostError{Key: o.index.key, Why: "it is of another archive than the result's"}
	}
	return o, index, nil
}
