package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// maxBlobsAtOnce is how many different blobs the jobs of one request may name:
// the store is asked for each.
const maxBlobsAtOnce = 10_000

// admission makes the specifications of one request whole. What they have in
// common is looked up once: inputs, executors, images.
type admission struct {
	*API
	tenant string
	fleet  []schemas.Executor
	// charge counts the request as so many more.
	charge func(requests int)
	// sizes are those of the blobs that the specifications name; -1 of one that is not there.
	sizes map[string]int64
	// until is how long that may be believed; zero for ever.
	until time.Time

	mu     sync.Mutex
	images map[string]func() (ResolvedImage, error)
}

func (a *API) newAdmission(w http.ResponseWriter, r *http.Request, tenant string) *admission {
	return &admission{
		API: a, tenant: tenant, fleet: a.Jobs.Executors(), images: map[string]func() (ResolvedImage, error){},
		charge: func(requests int) { a.charge(w, r, requests) },
	}
}

// look finds out which inputs of some specifications are there.
func (m *admission) look(ctx context.Context, specs ...schemas.JobSpec) (err error) {
	m.until = m.Inputs.Until()
	var digests []string
	for _, spec := range specs {
		if len(spec.Files) <= schemas.MaxFiles {
			digests = append(digests, blobsOf(spec)...)
		}
	}
	slices.Sort(digests)
	if digests = slices.Compact(digests); len(digests) > maxBlobsAtOnce {
		return kindTooLarge.problem(fmt.Sprintf("the jobs name %d different blobs; at most %d are taken at once", len(digests), maxBlobsAtOnce), "submit fewer jobs at once")
	}
	m.charge(len(digests) / looksARequest)
	if len(digests) > 0 {
		m.sizes, err = m.blobSizes(ctx, m.tenant, digests, m.Inputs.Usable)
	}
	return err
}

// take makes a job of one posted specification, which is nil if it is that of an
// earlier request.
func (m *admission) take(ctx context.Context, body io.Reader) (record schemas.Record, spec *schemas.JobSpec, err error) {
	s, err := m.admit(ctx, body)
	if err == nil {
		record, spec, err = m.accept(ctx, s)
	}
	if err != nil {
		record, err = m.earlier(ctx, s, err)
		return record, nil, err
	}
	return record, spec, nil
}

// admit makes one posted specification whole, but for its inputs, which need not
// be there: its result may be.
func (m *admission) admit(ctx context.Context, body io.Reader) (s coordinator.Submission, err error) {
	spec, problems, err := schemas.DecodeJobSpec(body)
	if err != nil {
		return s, err
	}
	if len(problems) == 0 {
		return m.choose(ctx, spec)
	}
	if err := m.look(ctx, spec); err != nil { // to tell of everything at once
		return s, err
	}
	return s, invalid(append(problems, problemsOf(m.fillSizes(spec))...))
}

// accept answers a submission from the cache, if it wants that and there is a
// result, and else takes it to be run. The specification is nil if it is that of
// an earlier request, whose choices may have been others.
func (m *admission) accept(ctx context.Context, s coordinator.Submission) (schemas.Record, *schemas.JobSpec, error) {
	if s.Spec.Cache == schemas.CacheUse {
		record, found, err := m.Jobs.Cached(ctx, s)
		if err != nil || found && s.Spec.IdempotencyKey != "" {
			return record, nil, err
		}
		if found {
			return record, &s.Spec, nil
		}
	}
	err := m.look(ctx, s.Spec)
	if err == nil {
		err = m.ready(s.Spec)
	}
	if err != nil {
		return schemas.Record{}, nil, err
	}
	s.Until = m.until
	record, created, err := m.Jobs.Submit(ctx, s)
	if err != nil || !created {
		return record, nil, err
	}
	return record, &s.Spec, nil
}

// complete makes a specification whole whose inputs were looked for: all that
// choose and ready do. problems are those that decoding found.
func (m *admission) complete(ctx context.Context, spec schemas.JobSpec, problems []schemas.Problem) (s coordinator.Submission, err error) {
	if len(problems) > 0 {
		return s, invalid(append(problems, problemsOf(m.fillSizes(spec))...))
	}
	missing := problemsOf(m.fillSizes(spec))
	s, err = m.choose(ctx, spec)
	switch {
	case len(missing) > 0:
		return s, invalid(missing)
	case err != nil:
		return s, err
	}
	s.Until = m.until
	return s, m.ready(s.Spec)
}

// choose writes out every default of a valid specification, and chooses the
// image's digest and an architecture. A submission that is refused is told apart all the same.
func (m *admission) choose(ctx context.Context, spec schemas.JobSpec) (s coordinator.Submission, err error) {
	// Before anything is chosen: the same request repeated may be given another
	// digest or architecture.
	request, err := requestDigest(spec)
	if err != nil {
		return s, err
	}
	s = coordinator.Submission{Tenant: m.tenant, Spec: withoutSizes(spec.WithDefaults()), Request: request}
	if problems := m.checkCallback(spec.Callback); len(problems) > 0 {
		return s, invalid(problems)
	}
	if err := m.admitted(m.tenant, spec.Labels); err != nil {
		return s, err
	}
	image, err := m.image(ctx, s.Spec.Image)
	if err != nil {
		return s, err
	}
	if s.Spec.Requires.Arch, err = chooseArch(s.Spec.Requires, image, m.fleet); err != nil {
		return s, err
	}
	if s.Spec.Cache == "" {
		s.Spec.Cache = image.Cache
	}
	if err := m.admitted(m.tenant, spec.Labels); err != nil { // again: a registry may have been slow
		return s, err
	}
	s.Image, s.Prepared = schemas.ImageRef{Reference: image.Reference, Digest: image.Digest}, image.Prepared
	return s, nil
}

// earlier finds the job that an earlier, equal request made, if its idempotency key
// tells; else it returns why this one was refused. What was accepted once may be
// refused now: its image or its inputs may be gone, or nobody able to run it.
func (m *admission) earlier(ctx context.Context, s coordinator.Submission, refused error) (schemas.Record, error) {
	if first, found, err := m.Jobs.Earlier(ctx, s); err == nil && found {
		return first, nil
	}
	return schemas.Record{}, refused
}

// ready makes sure that a job can be run: its inputs are there, whose sizes it
// writes into the specification, and fit, and, as far as is known, somebody is
// there to run it.
func (m *admission) ready(spec schemas.JobSpec) error {
	if missing := m.fillSizes(spec); len(missing) > 0 {
		p := invalid(problemsOf(missing))
		p.Missing = digestsOf(missing)
		return p
	}
	// Sizes are known now, so what does not fit may show only here.
	if problems := spec.Validate(); len(problems) > 0 {
		return invalid(problems)
	}
	return somebodyCan(m.tenant, spec.Requires, m.fleet)
}

// image resolves a reference, once for all that name it.
func (m *admission) image(ctx context.Context, reference string) (ResolvedImage, error) {
	m.mu.Lock()
	resolve := m.images[reference]
	if resolve == nil {
		resolve = sync.OnceValues(func() (ResolvedImage, error) { return m.resolve(ctx, reference) })
		m.images[reference] = resolve
	}
	m.mu.Unlock()
	return resolve()
}
