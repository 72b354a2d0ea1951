package api

import (
	"maps"
	"slices"

	"github.com/program-explorer/pe/schemas"
)

// missingInput is a file whose blob the tenant has not uploaded.
type missingInput struct{ name, digest string }

// blobsOf lists the digests that files name, as far as they are digests.
func blobsOf(spec schemas.JobSpec) (digests []string) {
	for _, f := range spec.Files {
		if _, err := schemas.ParseDigest(f.SHA256); err == nil {
			digests = append(digests, f.SHA256)
		}
	}
	return digests
}

// withoutSizes is the specification before anybody looked for its blobs.
func withoutSizes(spec schemas.JobSpec) schemas.JobSpec {
	spec.Files = maps.Clone(spec.Files)
	for name, f := range spec.Files {
		f.Size = 0
		spec.Files[name] = f
	}
	return spec
}

// fillSizes writes the sizes of blobs into a specification, and lists those that
// the tenant has not uploaded.
func (m *admission) fillSizes(spec schemas.JobSpec) (missing []missingInput) {
	for _, name := range slices.Sorted(maps.Keys(spec.Files)) {
		f := spec.Files[name]
		size, named := m.sizes[f.SHA256]
		if !named {
			continue
		}
		if size < 0 {
			missing = append(missing, missingInput{name, f.SHA256})
			continue
		}
		f.Size = size
		spec.Files[name] = f
	}
	return missing
}

func problemsOf(missing []missingInput) (problems []schemas.Problem) {
	for _, m := range missing[:min(len(missing), schemas.MaxProblems)] {
		problems = append(problems, schemas.Problem{
			Pointer: "/files/" + escapePointer(m.name) + "/sha256",
			Message: "has not been uploaded: PUT /v1/blobs/" + m.digest[len(schemas.DigestPrefix):] + " first",
		})
	}
	return problems
}

// digestsOf lists each digest once.
func digestsOf(missing []missingInput) []string {
	digests := make([]string, 0, len(missing))
	for _, m := range missing {
		digests = append(digests, m.digest)
	}
	slices.Sort(digests)
	return slices.Compact(digests)
}
