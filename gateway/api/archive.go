package api

import (
	"context"

	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/schemas"
)

// outputArchive is what an ended job left: where its archive lies and what is in it.
type outputArchive struct {
	key    string
	object schemas.Object
	index  *outputIndex
}

// archive finds a job's outputs. A job that ended without any gives nil.
func (a *API) archive(ctx context.Context, r schemas.Record) (*outputArchive, error) {
	if !r.State.Terminal() {
		return nil, kindNotEnded.problem("job "+r.ID+" is "+string(r.State)+"; its outputs are there once it has ended",
			"GET /v1/jobs/"+r.ID+"?wait=30s waits for its end")
	}
	if r.PurgedUS != 0 {
		return nil, expired(r)
	}
	if !r.HasResult() {
		return nil, kindNotFound.problem("job "+r.ID+" is "+string(r.State)+" and has no outputs", "")
	}
	result, err := a.result(ctx, r)
	if err != nil {
		return nil, err
	}
	if result.Archive == nil || result.Index == nil {
		return nil, nil
	}
	index, err := a.indexes.read(ctx, r.ResultKey(result.Index.Name), *result.Index)
	if err != nil {
		return nil, err
	}
	if index.ArchiveSize != result.Archive.Size || index.ArchiveSHA256 != result.Archive.SHA256 {
		return nil, &jobresult.LostError{Key: r.ResultKey(result.Index.Name), Why: "it is of another archive than the result's"}
	}
	return &outputArchive{key: r.ResultKey(result.Archive.Name), object: *result.Archive, index: index}, nil
}
