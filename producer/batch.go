package producer

import (
	"context"
	"fmt"
	"net/http"

	"github.com/program-explorer/pe/schemas"
)

// SubmitBatch posts 1 to [schemas.MaxBatchJobs] jobs in one request, which is much
// faster than as many submits. The answer has one item for each, in their order.
//
// With mode [schemas.BatchAll] all jobs are taken or none; one that cannot be is an
// error, a [schemas.ProblemDocument] that points at every job that is wrong. With
// [schemas.BatchEach] such a job's item has the problem, and the others are taken.
// If every job has an idempotency key, the request is repeated until the gateway
// has answered.
func (c *Client) SubmitBatch(ctx context.Context, jobs []schemas.JobSpec, mode string) ([]schemas.BatchItem, error) {
	body, size, err := jsonBody(schemas.JobBatch{Jobs: jobs, Mode: mode})
	if err != nil {
		return nil, err
	}
	if size > schemas.MaxBatchBytes {
		return nil, fmt.Errorf("batch of %d bytes: %w: at most %d", size, schemas.ErrTooLarge, schemas.MaxBatchBytes)
	}
	var reply schemas.BatchReply
	post := call{method: http.MethodPost, path: []string{"v1", "jobs:batch"}, body: body, size: size, json: true}
	try := func() error { return c.ask(ctx, post, &reply) }
	if allKeyed(jobs) {
		err = c.retry(ctx, try)
	} else {
		err = c.retryLimited(ctx, try)
	}
	if err == nil && len(reply.Jobs) != len(jobs) {
		err = fmt.Errorf("answer of %s has %d jobs, not %d", c.Server(), len(reply.Jobs), len(jobs))
	}
	return reply.Jobs, err
}

func allKeyed(jobs []schemas.JobSpec) bool {
	for _, spec := range jobs {
		if spec.IdempotencyKey == "" {
			return false
		}
	}
	return true
}
