package coordinator

import (
	"context"
	"fmt"

	"github.com/program-explorer/pe/schemas"
)

// Logs asks the executor of a running job for what its attempt wrote to stdout
// or stderr, from offset on, at most [schemas.MaxLogChunk] bytes at once. A job
// that does not run has none here: that is Gone.
func (c *Coordinator) Logs(ctx context.Context, rec schemas.Record, stream string, offset int64) (reply schemas.LogsReply, err error) {
	a := rec.Current()
	if a == nil {
		return schemas.LogsReply{Gone: true}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	ask := schemas.LogsRequest{Held: schemas.Held{Tenant: rec.Tenant, Job: rec.ID, Attempt: a.N}, Stream: stream, Offset: offset}
	if err = c.queue.Command(ctx, a.Executor, schemas.CommandLogs, ask, &reply); err != nil {
		return reply, fmt.Errorf("ask for %s of job %s: %w", stream, rec.ID, err)
	}
	if len(reply.Data) > schemas.MaxLogChunk {
		return schemas.LogsReply{}, fmt.Errorf("executor %s sent %d bytes at once", a.Executor, len(reply.Data))
	}
	return reply, nil
}
