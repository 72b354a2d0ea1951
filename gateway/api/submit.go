package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// submit takes a specification and answers with the job: 202 while it is to be
// run, 200 once it has ended, for which ?wait= waits.
func (a *API) submit(w http.ResponseWriter, r *http.Request, tenant string) error {
	wait, err := a.waitOf(r)
	if err != nil {
		return err
	}
	stretch(w, a.ResolveTimeout+a.StallTimeout) // a registry may be slow
	s, err := a.admit(r, tenant)
	if err != nil {
		return err
	}
	record, created, err := a.jobs.Submit(r.Context(), s)
	if err != nil {
		return err
	}
	spec := &s.Spec
	if !created {
		spec = nil // that of the first request, whose choices may have been others
	}
	if record, err = a.waitFor(w, r, record, wait); err != nil {
		return err
	}
	job := a.outline(record)
	// With a known idempotency key the job may be somebody else's of the tenant.
	if callerOf(r.Context()).May(schemas.ScopeRead) {
		if job, err = a.join(r.Context(), record, spec); err != nil {
			return err
		}
	}
	w.Header().Set("Location", "/v1/jobs/"+record.ID)
	return writeJSON(w, statusOf(record), job)
}

// statusOf is 200 for a job that has ended and 202 for one that has not.
func statusOf(r schemas.Record) int {
	if r.State.Terminal() {
		return http.StatusOK
	}
	return http.StatusAccepted
}

// admit makes a posted specification whole: valid, every default written out,
// its inputs present, its image a digest, its architecture chosen, and, as far
// as is known, somebody there to run it.
func (a *API) admit(r *http.Request, tenant string) (s coordinator.Submission, err error) {
	spec, problems, err := schemas.DecodeJobSpec(r.Body)
	if err != nil {
		return s, err
	}
	missing, err := a.fillSizes(r, tenant, &spec)
	if err != nil {
		return s, err
	}
	if problems = append(problems, missing...); len(problems) > 0 {
		return s, invalid(problems)
	}
	// Before anything is chosen: the same request repeated may be given another
	// digest or architecture.
	request, err := requestDigest(spec)
	if err != nil {
		return s, err
	}
	spec = spec.WithDefaults()
	// Sizes are known now, so what does not fit may show only here.
	if problems := spec.Validate(); len(problems) > 0 {
		return s, invalid(problems)
	}
	image, err := a.resolve(r.Context(), spec.Image)
	if err != nil {
		return s, err
	}
	fleet := a.jobs.Executors()
	if spec.Requires.Arch, err = chooseArch(spec.Requires, image, fleet); err != nil {
		return s, err
	}
	if err := somebodyCan(tenant, spec.Requires, fleet); err != nil {
		return s, err
	}
	ref := schemas.ImageRef{Reference: image.Reference, Digest: image.Digest}
	return coordinator.Submission{Tenant: tenant, Spec: spec, Image: ref, Request: request}, nil
}

// requestDigest tells a repeated submission from another with the same idempotency key.
func requestDigest(spec schemas.JobSpec) (string, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return "", fmt.Errorf("encode specification: %w", err)
	}
	sum := sha256.Sum256(data)
	return schemas.Digest(sum[:]), nil
}

// fillSizes looks up the blobs that files name, writes their sizes into the
// specification, and lists those that the tenant has not uploaded.
func (a *API) fillSizes(r *http.Request, tenant string, spec *schemas.JobSpec) ([]schemas.Problem, error) {
	var digests, names []string
	for name, f := range spec.Files {
		if _, err := schemas.ParseDigest(f.SHA256); err == nil {
			digests, names = append(digests, f.SHA256), append(names, name)
		}
	}
	if len(digests) == 0 || len(digests) > schemas.MaxFiles {
		return nil, nil
	}
	sizes, err := a.blobSizes(r, tenant, digests)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var problems []schemas.Problem
	for _, name := range names {
		f := spec.Files[name]
		if f.Size = sizes[f.SHA256]; f.Size < 0 {
			problems = append(problems, schemas.Problem{
				Pointer: "/files/" + escapePointer(name) + "/sha256",
				Message: "has not been uploaded: PUT /v1/blobs/" + f.SHA256[len(schemas.DigestPrefix):] + " first",
			})
			continue
		}
		spec.Files[name] = f
	}
	return problems[:min(len(problems), schemas.MaxProblems)], nil
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
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	go func() {
		select {
		case <-a.draining:
			cancel()
		case <-ctx.Done():
		}
	}()
	ended, err := a.jobs.Wait(ctx, record.Tenant, record.ID, func(r schemas.Record) bool { return r.State.Terminal() })
	if err == nil {
		return ended, nil
	}
	if ctx.Err() == nil || r.Context().Err() != nil {
		return record, fmt.Errorf("wait for job %s: %w", record.ID, err)
	}
	return a.jobs.Get(r.Context(), record.Tenant, record.ID)
}
