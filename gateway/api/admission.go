package api

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// admission makes the specifications of one request whole. What they have in
// common is looked up once: inputs, executors, images.
type admission struct {
	*API
	tenant string
	fleet  []schemas.Executor
	// sizes are those of the blobs that the specifications name; -1 of one that is not there.
	sizes map[string]int64

	mu     sync.Mutex
	images map[string]func() (ResolvedImage, error)
}

func (a *API) newAdmission(ctx context.Context, tenant string, specs ...schemas.JobSpec) (*admission, error) {
	m := &admission{API: a, tenant: tenant, fleet: a.jobs.Executors(), images: map[string]func() (ResolvedImage, error){}}
	var digests []string
	for _, spec := range specs {
		if len(spec.Files) <= schemas.MaxFiles {
			digests = append(digests, blobsOf(spec)...)
		}
	}
	var err error
	if len(digests) > 0 {
		m.sizes, err = a.blobSizes(ctx, tenant, digests)
	}
	return m, err
}

// blobsOf lists the digests that files name, as far as they are digests.
func blobsOf(spec schemas.JobSpec) (digests []string) {
	for _, f := range spec.Files {
		if _, err := schemas.ParseDigest(f.SHA256); err == nil {
			digests = append(digests, f.SHA256)
		}
	}
	return digests
}

// complete makes a specification whole: valid, every default written out, its
// inputs present, its image a digest, its architecture chosen, and, as far as is
// known, somebody there to run it. problems are those that decoding found.
func (m *admission) complete(ctx context.Context, spec schemas.JobSpec, problems []schemas.Problem) (s coordinator.Submission, err error) {
	if problems = append(problems, m.fillSizes(spec)...); len(problems) > 0 {
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
	image, err := m.image(ctx, spec.Image)
	if err != nil {
		return s, err
	}
	if spec.Requires.Arch, err = chooseArch(spec.Requires, image, m.fleet); err != nil {
		return s, err
	}
	if err := somebodyCan(m.tenant, spec.Requires, m.fleet); err != nil {
		return s, err
	}
	ref := schemas.ImageRef{Reference: image.Reference, Digest: image.Digest}
	return coordinator.Submission{Tenant: m.tenant, Spec: spec, Image: ref, Request: request}, nil
}

// fillSizes writes the sizes of blobs into a specification, and lists those that
// the tenant has not uploaded.
func (m *admission) fillSizes(spec schemas.JobSpec) (problems []schemas.Problem) {
	for _, name := range slices.Sorted(maps.Keys(spec.Files)) {
		f := spec.Files[name]
		size, named := m.sizes[f.SHA256]
		if !named || len(problems) == schemas.MaxProblems {
			continue
		}
		if f.Size = size; size < 0 {
			problems = append(problems, schemas.Problem{
				Pointer: "/files/" + escapePointer(name) + "/sha256",
				Message: "has not been uploaded: PUT /v1/blobs/" + f.SHA256[len(schemas.DigestPrefix):] + " first",
			})
			continue
		}
		spec.Files[name] = f
	}
	return problems
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
