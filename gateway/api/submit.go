package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// submit takes a specification and answers with the job: 202 while it is to be
// run, 200 once it has ended, for which ?wait= waits.
func (a *API) submit(w http.ResponseWriter, r *http.Request, tenant string) error {
	wait, err := a.waitOf(r)
	if err != nil {
		return err
	}
	leave, err := a.roomFor(w, r, tenant)
	if err != nil {
		return err
	}
	defer leave()
	stretch(w, a.ResolveTimeout+a.StallTimeout) // a registry may be slow
	m := a.newAdmission(w, r, tenant)
	record, spec, err := m.take(r.Context(), r.Body)
	if err != nil {
		return err
	}
	leave()
	if wait > 0 {
		spec = nil // it is read again: many may wait, and it may be large
	}
	if done, full := a.waits.begin(http.Header{}, tenant); full == nil { // else it is told as it is
		defer done()
		if record, err = a.waitFor(w, r, record, wait); err != nil {
			return err
		}
	}
	// With a known idempotency key the job may be somebody else's of the tenant.
	caller := callerOf(r.Context())
	job, status := a.answerFor(caller, record), statusOf(record)
	if caller.May(schemas.ScopeRead) {
		leave, full := a.answers.enter(r.Context(), http.Header{}, tenant, jobWeight(record))
		if full == nil {
			defer leave()
			if job, err = a.join(r.Context(), record, spec); err != nil {
				return err
			}
		} else {
			status = http.StatusAccepted // it is taken, so it is told, and the rest is to be asked for
		}
	}
	w.Header().Set("Location", "/v1/jobs/"+record.ID)
	return writeJSON(w, status, job)
}

// smallSubmission is what is read of a submission without asking for room.
const smallSubmission = 64 << 10

// roomFor takes the room that a large specification needs while it is read and made
// whole; leave gives it back, once.
func (a *API) roomFor(w http.ResponseWriter, r *http.Request, tenant string) (leave func(), err error) {
	if r.ContentLength >= 0 && r.ContentLength <= smallSubmission {
		return func() {}, nil
	}
	weight := int64(schemas.MaxSpecBytes)
	if r.ContentLength >= 0 {
		weight = min(r.ContentLength, weight)
	}
	return a.batches.enter(r.Context(), w.Header(), tenant, weight)
}

// statusOf is 200 for a job that has ended and 202 for one that has not.
func statusOf(r schemas.Record) int {
	if r.State.Terminal() {
		return http.StatusOK
	}
	return http.StatusAccepted
}

// requestDigest tells a repeated submission from another with the same
// idempotency key. Sizes of blobs are not the client's to say.
func requestDigest(spec schemas.JobSpec) (string, error) {
	data, err := json.Marshal(withoutSizes(spec))
	if err != nil {
		return "", fmt.Errorf("encode specification: %w", err)
	}
	sum := sha256.Sum256(data)
	return schemas.Digest(sum[:]), nil
}

// waitOf reads ?wait=: a duration as Go writes it (30s, 1m30s) or seconds. 0 without it.
func (a *API) waitOf(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("wait")
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil {
		var seconds uint64
		if seconds, err = strconv.ParseUint(text, 10, 31); err == nil {
			wait = time.Duration(seconds) * time.Second
		}
	}
	if err != nil || wait < 0 {
		return 0, kindMalformed.problem("wait="+strconv.QuoteToASCII(clip(text))+" is no duration", "write it like wait=30s")
	}
	return min(wait, a.MaxWait), nil
}

// waitFor returns the record once the job has ended, or as it is when the wait is over.
func (a *API) waitFor(w http.ResponseWriter, r *http.Request, record schemas.Record, wait time.Duration) (schemas.Record, error) {
	if wait == 0 || record.State.Terminal() {
		return record, nil
	}
	stretch(w, wait+a.StallTimeout)
	ctx, cancel := a.untilDrained(r.Context(), wait)
	defer cancel()
	ended, err := a.Jobs.Wait(ctx, record.Tenant, record.ID, func(r schemas.Record) bool { return r.State.Terminal() })
	if err == nil {
		return ended, nil
	}
	if ctx.Err() == nil || r.Context().Err() != nil {
		return record, fmt.Errorf("wait for job %s: %w", record.ID, err)
	}
	return a.Jobs.Get(r.Context(), record.Tenant, record.ID)
}

// untilDrained ends after the wait, or when this gateway stops.
func (a *API) untilDrained(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	go func() {
		select {
		case <-a.draining:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
