package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/schemas"
)

// getJob answers with the whole job; ?wait= waits for its end first.
func (a *API) getJob(w http.ResponseWriter, r *http.Request, tenant string) error {
	wait, err := a.waitOf(r)
	if err != nil {
		return err
	}
	id, err := jobID(r)
	if err != nil {
		return err
	}
	record, err := a.newest(w, r, tenant, id, wait)
	if err != nil {
		return err
	}
	leave, err := a.answers.enter(r.Context(), w.Header(), tenant, jobWeight(record))
	if err != nil {
		return err
	}
	defer leave()
	job, err := a.join(r.Context(), record, nil)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, job)
}

// newest reads a job's record, once it has ended or the wait is over.
func (a *API) newest(w http.ResponseWriter, r *http.Request, tenant, id string, wait time.Duration) (schemas.Record, error) {
	if wait == 0 {
		return a.Jobs.Get(r.Context(), tenant, id)
	}
	done, err := a.waits.begin(w.Header(), tenant)
	if err != nil {
		return schemas.Record{}, err
	}
	defer done()
	// Whoever waits for the end need not be told what the job is before.
	return a.waitFor(w, r, schemas.Record{Tenant: tenant, ID: id}, wait)
}

// cancelJob asks for the job's end. A queued job is cancelled at once, a
// running one when its executor has stopped it; an ended one stays as it is.
func (a *API) cancelJob(w http.ResponseWriter, r *http.Request, tenant string) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	record, err := a.Jobs.Cancel(r.Context(), tenant, id)
	if err != nil && !errors.Is(err, coordinator.ErrEnded) {
		return err
	}
	return writeJSON(w, statusOf(record), a.answerFor(callerOf(r.Context()), record))
}

// record reads the record of the job in the path.
func (a *API) record(r *http.Request, tenant string) (schemas.Record, error) {
	id, err := jobID(r)
	if err != nil {
		return schemas.Record{}, err
	}
	return a.Jobs.Get(r.Context(), tenant, id)
}

// answerFor is what a caller is told of the job that it acts on. That may be
// anybody's of the tenant, so whoever may not read learns how it stands alone.
func (a *API) answerFor(caller access.Caller, r schemas.Record) schemas.Job {
	if !caller.May(schemas.ScopeRead) {
		return schemas.Job{ID: r.ID, Tenant: r.Tenant, State: r.State, Created: r.CreatedUS, Ended: r.EndedUS}
	}
	return a.outline(r)
}

// outline is a job as its record alone tells it.
func (a *API) outline(r schemas.Record) schemas.Job {
	job := schemas.Job{
		ID: r.ID, Tenant: r.Tenant, State: r.State, Image: r.Image, Labels: r.Labels, Lane: r.Lane, Pool: r.Pool,
		Created: r.CreatedUS, Ended: r.EndedUS, Purged: r.PurgedUS, Cancelling: r.Cancel && !r.State.Terminal(),
		Attempts: slices.Clone(r.Attempts), Outcome: r.Outcome, Failure: r.Failure, Waiting: a.Jobs.Waiting(r),
		Cached: r.Source,
	}
	for i := range job.Attempts {
		job.Attempts[i].Nonce = "" // between executor and gateway alone
	}
	return job
}

// join adds specification and result from the store to the outline, or says
// which of them the store has lost. spec is nil, or the specification as it was just stored.
func (a *API) join(ctx context.Context, r schemas.Record, spec *schemas.JobSpec) (schemas.Job, error) {
	job, lost, err := a.joined(ctx, r, spec)
	if lost == nil || err != nil {
		return job, err
	}
	newest, err := a.Jobs.Get(ctx, r.Tenant, r.ID)
	if err != nil {
		return job, err
	}
	if superseded(r, newest) {
		if job, lost, err = a.joined(ctx, newest, spec); err != nil {
			return job, err
		}
	}
	if lost != nil {
		a.Log.Error("job has lost objects", "job", r.ID, "err", lost)
	}
	return job, nil
}

// joined is a job as record and store tell it. What is lost is named in the job, and returned.
func (a *API) joined(ctx context.Context, r schemas.Record, spec *schemas.JobSpec) (job schemas.Job, lost, err error) {
	job = a.outline(r)
	note := func(what string, err error) error {
		if errors.Is(err, jobresult.ErrLost) {
			job.Lost, lost = append(job.Lost, what), errors.Join(lost, err)
			return nil
		}
		return err
	}
	if spec == nil {
		spec, err = a.spec(ctx, r)
		if err = note(schemas.LostSpec, err); err != nil {
			return job, lost, err
		}
	}
	if job.Spec = spec; spec != nil && r.Callback != "" {
		whole := *spec // what is stored is for executors
		whole.Callback = &schemas.Callback{URL: r.Callback}
		job.Spec = &whole
	}
	if r.HasResult() && !r.ResultExpired() {
		job.Result, err = a.result(ctx, r)
		err = note(schemas.LostResult, err)
	}
	return job, lost, err
}

// spec reads the specification as the gateway stored it, defaults and all.
func (a *API) spec(ctx context.Context, r schemas.Record) (*schemas.JobSpec, error) {
	data := []byte(r.SpecInline)
	if data == nil {
		var err error
		if data, err = a.objects.Document(ctx, r.SpecKey(), r.Spec, maxStoredSpec); err != nil {
			return nil, err
		}
	}
	var spec schemas.JobSpec
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, fmt.Errorf("decode specification of %s: %w", r.ID, err)
	}
	return &spec, nil
}

// maxStoredSpec leaves room for what defaults and JSON's escapes add to the largest posted one.
const maxStoredSpec = 2 * schemas.MaxSpecBytes

// result reads what the accepted attempt produced.
func (a *API) result(ctx context.Context, r schemas.Record) (*schemas.Result, error) {
	result, err := a.objects.Result(ctx, r)
	if err != nil {
		return nil, err
	}
	if result.Spans = reported(result.Spans, r.EndedUS); r.Source != nil {
		result.Spans = []schemas.Span{} // they are another job's, of another time
	}
	return &result, nil
}

// reported adds the stage that a result can't hold itself, because it ends
// after the result was stored: from the end of the last one to the job's.
func reported(spans []schemas.Span, endedUS int64) []schemas.Span {
	last := int64(0)
	for _, s := range spans {
		last = max(last, s.EndUS)
	}
	if last == 0 || last >= endedUS { // of an executor whose clock is ahead
		return spans
	}
	return append(spans, schemas.Span{Name: schemas.SpanReported, StartUS: last, EndUS: endedUS})
}
