package api

import (
	"context"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// Coordinator is what the API asks of package coordinator, whose
// [coordinator.Coordinator] it is.
type Coordinator interface {
	Jobs
	Watcher
	Fleet
	Results
	Accounts
}

// Jobs are submitted, read and ended.
type Jobs interface {
	Submit(context.Context, coordinator.Submission) (rec schemas.Record, created bool, err error)
	SubmitBatch(ctx context.Context, jobs []coordinator.Submission, all bool) ([]coordinator.Submitted, error)
	// Earlier finds the job that an equal request with the same idempotency key made.
	Earlier(context.Context, coordinator.Submission) (rec schemas.Record, found bool, err error)
	// Cached answers a submission with the result of an earlier job, if there is one.
	Cached(context.Context, coordinator.Submission) (rec schemas.Record, found bool, err error)
	Get(ctx context.Context, tenant, job string) (schemas.Record, error)
	List(ctx context.Context, tenant string, f coordinator.Filter, after string, limit int) (recs []schemas.Record, next string, err error)
	Cancel(ctx context.Context, tenant, job string) (schemas.Record, error)
	// Retry queues a dead job again; Drop removes it and returns it as it was.
	Retry(ctx context.Context, tenant, job string) (schemas.Record, error)
	Drop(ctx context.Context, tenant, job string) (schemas.Record, error)
}

// Watcher tells what becomes of a job.
type Watcher interface {
	Wait(ctx context.Context, tenant, job string, until func(schemas.Record) bool) (schemas.Record, error)
	// Events tells what becomes of all of a tenant's jobs.
	Events(ctx context.Context, tenant string, q coordinator.EventQuery) (<-chan coordinator.JobUpdate, error)
	Follow(ctx context.Context, tenant, job string, from coordinator.Offsets) (<-chan coordinator.Update, error)
	// Logs asks the executor of a running job for what it wrote to a stream, from offset on.
	Logs(ctx context.Context, rec schemas.Record, stream string, offset int64) (schemas.LogsReply, error)
}

// Fleet says what there is to run jobs on.
type Fleet interface {
	Executors() []schemas.Executor
	// Waiting says why a queued job waits, when it is not only its turn.
	Waiting(schemas.Record) string
	Ready() error
}

// Results are those that are given again.
type Results interface {
	CacheInfo(ctx context.Context, tenant string) (schemas.CacheInfo, error)
	ClearCache(ctx context.Context, tenant string) error
}

// Accounts say what tenants have, and may have.
type Accounts interface {
	Usage(tenant string) (schemas.TenantUsage, error)
	// Reserve takes bytes from what a tenant may store, or refuses them; Settle ends
	// that and says how many were stored.
	Reserve(tenant string, bytes int64) error
	Settle(tenant string, reserved, stored int64)
}

var _ Coordinator = (*coordinator.Coordinator)(nil)
