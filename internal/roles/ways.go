package roles

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/noop"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
)

// WaysConfig says in which ways an executor runs jobs.
type WaysConfig struct {
	// Isolations are schemas.IsolationVM, IsolationGVisor and IsolationContainer, in
	// any order, and WayNoop. Default: virtual machines alone.
	Isolations []string
	// Runsc is gVisor's runtime: a path, or a name in PATH. Default runsc.
	Runsc string
	// OCIRuntime runs containers: runc or crun. Default runc.
	OCIRuntime string
	// ContainerImages may run in containers, which share the host's kernel: names of
	// the catalog, references or digests. Others may not.
	ContainerImages []string
	// Noop is how jobs pretend to run, with WayNoop.
	Noop noop.Config
}

// WayNoop runs nothing: it is for measuring and for trying failure, and never part
// of a default. Jobs see it as a container of kernel "noop", so it can't be
// offered beside containers.
const WayNoop = noop.Kernel

func (w WaysConfig) check() error {
	for _, isolation := range w.Isolations {
		if !slices.Contains([]string{schemas.IsolationVM, schemas.IsolationGVisor, schemas.IsolationContainer, WayNoop}, isolation) {
			return fmt.Errorf("no way to run jobs is called %q: want vm, gvisor or container", isolation)
		}
	}
	if w.has(schemas.IsolationContainer) && w.has(WayNoop) {
		return fmt.Errorf("an executor that runs containers can't also pretend to: container and noop exclude each other")
	}
	if w.has(schemas.IsolationContainer) && len(w.ContainerImages) == 0 {
		return fmt.Errorf("containers run only images that are allowed to, and none is: name them with --container-image")
	}
	return nil
}

// has says whether that way is wanted.
func (w WaysConfig) has(isolation string) bool {
	if len(w.Isolations) == 0 {
		return isolation == schemas.IsolationVM
	}
	return slices.Contains(w.Isolations, isolation)
}

// pretends says that jobs run in no other way than not at all.
func (w WaysConfig) pretends() bool {
	return w.has(WayNoop) && !slices.ContainsFunc(w.Isolations, func(i string) bool { return i != WayNoop })
}

// images are the cache, or no bytes at all where nothing looks into them.
func (w WaysConfig) images(cache *imagesync.Cache) executor.Images {
	if w.pretends() {
		return noop.Images{}
	}
	return cache
}

// runtime is the program for contained machines of a kind.
func (w WaysConfig) runtime(isolation string) string {
	if isolation == schemas.IsolationGVisor {
		return cmp.Or(w.Runsc, "runsc")
	}
	return cmp.Or(w.OCIRuntime, "runc")
}

// allowed are the images that may run in containers, as jobs name them.
func (w WaysConfig) allowed(catalog *imagesync.Catalog) []string {
	var references []string
	for _, name := range w.ContainerImages {
		if entry, ok := catalog.Lookup(name); ok {
			name = entry.Reference
		}
		references = append(references, name)
	}
	return references
}

// share is what of the pool's memory machines of one way may take: those that need
// no memory of a guest's own get a quarter each.
func (c ExecutorConfig) share(isolation string) int64 {
	contained := int64(0)
	for _, kind := range []string{schemas.IsolationGVisor, schemas.IsolationContainer} {
		if c.Ways.has(kind) {
			contained++
		}
	}
	if isolation != schemas.IsolationVM {
		return c.Ready.PoolBytes / 4
	}
	return c.Ready.PoolBytes - contained*c.Ready.PoolBytes/4
}

// byPreference sorts runners as jobs that ask for strong isolation want them: a
// machine with acceleration, gVisor, an emulated machine; containers never.
func byPreference(runners []executor.Runner) {
	slices.SortStableFunc(runners, func(a, b executor.Runner) int {
		return rank(a.Offering()) - rank(b.Offering())
	})
}

func rank(o schemas.Offering) int {
	switch {
	case o.Isolation == schemas.IsolationVM && o.Accel != qemu.TCG:
		return 0
	case o.Isolation == schemas.IsolationGVisor:
		return 1
	case o.Isolation == schemas.IsolationVM:
		return 2
	default:
		return 3
	}
}

// labelled tells metrics of one way from the same ones of another.
func labelled(r *prometheus.Registry, isolation string) prometheus.Registerer {
	if r == nil {
		return nil
	}
	return prometheus.WrapRegistererWith(prometheus.Labels{"isolation": isolation}, r)
}

// containedRunner is a runner that has something to close.
type containedRunner interface {
	executor.Runner
	Close() error
}
