package producer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// A Target is a kind of machine, or one machine, that a job is to run on: what
// it requires, under a short name.
type Target struct {
	// Name is the target as [ParseTarget] takes it: "arm64-vm".
	Name string `json:"target"`
	// Requires is what the name says; what it leaves open is empty.
	Requires schemas.Requires `json:"requires"`
	// Optional says that a target that the gateway refuses, since the image is
	// not made for it, is left out, and not an error. Those of [Kinds] are.
	Optional bool `json:"-"`
}

// anyKind stands where a target says nothing about the kind of machine.
const anyKind = "any"

// executorPrefix names one executor in a target.
const executorPrefix = "executor:"

// ParseTarget reads
//
//	ARCH[-ISOLATION[-ACCEL]][@KERNEL][/KEY=VALUE]…[/executor:ID]
//
// as in arm64, amd64-vm-kvm, amd64-vm@6.1, riscv64-container/site=basement. ARCH
// may be "any". executor:ID alone is short for any/executor:ID. A label's value
// ends at the next "/"; its key may hold one.
func ParseTarget(s string) (Target, error) {
	t := Target{Name: s}
	kind, conditions, more := strings.Cut(s, "/")
	if strings.HasPrefix(s, executorPrefix) {
		kind, conditions, more = anyKind, s, true
	}
	if err := t.parseKind(kind); err != nil {
		return t, fmt.Errorf("target %.200q: %w", s, err)
	}
	if !more {
		return t, nil
	}
	if err := t.parseConditions(conditions); err != nil {
		return t, fmt.Errorf("target %.200q: %w", s, err)
	}
	return t, nil
}

func (t *Target) parseKind(kind string) error {
	kind, kernel, hasKernel := strings.Cut(kind, "@")
	if hasKernel && kernel == "" {
		return errors.New("want a kernel after @, such as @6.1")
	}
	t.Requires.Kernel = kernel
	parts := strings.SplitN(kind, "-", 3)
	into := []*string{&t.Requires.Arch, &t.Requires.Isolation, &t.Requires.Accel}
	known := [][]string{schemas.Archs, schemas.Isolations, schemas.Accels}
	what := []string{"an architecture", "an isolation", "an accelerator"}
	for i, part := range parts {
		if i == 0 && part == anyKind {
			continue
		}
		if !slices.Contains(known[i], part) {
			return fmt.Errorf("%.60q is not %s%s", part, what[i], expected(part, known[i], i == 0))
		}
		*into[i] = part
	}
	return nil
}

// expected says what was wanted in a word's place.
func expected(got string, known []string, first bool) string {
	if near := schemas.Nearest(got, known); near != "" {
		return ": did you mean " + near + "?"
	}
	if first {
		return " (" + strings.Join(known, ", ") + ", any); of one executor write executor:ID"
	}
	return " (" + strings.Join(known, ", ") + ")"
}

func (t *Target) parseConditions(text string) error {
	r := &t.Requires
	for text != "" {
		if id, ok := strings.CutPrefix(text, executorPrefix); ok {
			r.Executor, text, _ = strings.Cut(id, "/")
			if r.Executor == "" {
				return errors.New("want executor:ID")
			}
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return fmt.Errorf("%.60q is no condition: want KEY=VALUE or executor:ID", text)
		}
		value, text, _ = strings.Cut(value, "/")
		if r.Labels == nil {
			r.Labels = map[string]string{}
		}
		r.Labels[key] = value
	}
	return nil
}

// Folder is the target's name as the name of a folder.
func (t Target) Folder() string {
	return strings.NewReplacer("/", "+", ":", "=", "\\", "+", "\x00", "+").Replace(t.Name)
}

// Over is what a job requires on this target: the target's own, and what it
// leaves open from base.
func (t Target) Over(base schemas.Requires) schemas.Requires {
	r := base.Canonical()
	r.Arch = cmp.Or(t.Requires.Arch, r.Arch)
	r.Isolation = cmp.Or(t.Requires.Isolation, r.Isolation)
	r.Accel = cmp.Or(t.Requires.Accel, r.Accel)
	r.Kernel = cmp.Or(t.Requires.Kernel, r.Kernel)
	r.Executor = cmp.Or(t.Requires.Executor, r.Executor)
	if r.Labels == nil {
		r.Labels = map[string]string{}
	}
	maps.Copy(r.Labels, t.Requires.Labels)
	return r.Canonical()
}
