// Package job runs jobs on the guest's side: it makes a fresh writable layer and cgroup
// for each run, drives the sandboxed child, streams stdout and stderr, enforces limits and
// says how it ended.
//
// Its place in a job's life: between the host's Job message and Collected. It must not know
// that it is in a virtual machine, where its disks come from, nor what carries the frames.
package job

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/program-explorer/pe/guestrd/sandbox"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// Config of a Runner.
type Config struct {
	// Self is guestrd's own binary, started again as the sandbox's child. Default /proc/self/exe.
	Self string
	// Cgroup is a cgroup v2 folder with the controllers cpu, memory and pids enabled for its children. Default /sys/fs/cgroup.
	Cgroup string
	// Work is an empty folder for the runs' layers. Default /run/r: see layer.upper.
	Work string
	// OpenDisk opens a job's disk by serial. Without it, a job with disks is the platform's fault.
	OpenDisk func(serial string, write bool) (*os.File, error)
	// PlainIDs behaves as on a kernel that can't map the image's owners: the job's root is then
	// the machine's root, without capabilities. For tests of that case.
	PlainIDs bool
}

// Runner prepares and runs jobs over one image, one at a time.
type Runner struct {
	config Config

	mu      sync.Mutex
	lower   []string // overlay's lower folders, topmost first
	ids     idMap
	names   sandbox.Names
	spare   *process // waits for its job, or makes its root
	spawned int
	last    *layer // upper layer of the run that ended last
}

// New makes a Runner; SetRoot must be called before Prepare.
func New(c Config) *Runner {
	c.Self = defaultTo(c.Self, "/proc/self/exe")
	c.Cgroup = defaultTo(c.Cgroup, "/sys/fs/cgroup")
	c.Work = defaultTo(c.Work, "/run/r")
	return &Runner{config: c, ids: highIDs(), names: sandbox.Names{Hostname: "localhost"}}
}

func defaultTo(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// SetNames is called before each run that shall see other names.
func (r *Runner) SetNames(hostname, machineID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names = sandbox.Names{Hostname: hostname, MachineID: machineID}
}

// SetRoot makes the file system mounted at path the image of later runs. It maps the
// image's owners into the job's user namespace, and returns when the first child waits for its job: a
// machine that is baked then has nothing left to do in each of its copies.
func (r *Runner) SetRoot(path string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	spare, err := r.spawn()
	if err != nil {
		return err
	}
	if r.config.PlainIDs || mapOwners(path, spare.pid) != nil {
		// A kernel without idmapped mounts for this file system: the job's root is the
		// guest's root then, without capabilities all the same.
		spare.kill()
		r.ids = identityIDs()
		if spare, err = r.spawn(); err != nil {
			return err
		}
	}
	r.lower = []string{path}
	if err := r.keep(spare); err != nil {
		return err
	}
	return r.rest()
}

// keep has a child make its root now, and keeps it for the next run.
func (r *Runner) keep(p *process) error {
	path := filepath.Join(r.config.Work, strconv.Itoa(r.spawned))
	if err := p.stage(path, r.lower, r.names, r.ids); err != nil {
		p.discard()
		return err
	}
	r.spare = p
	return nil
}

// renew makes the next run's child.
func (r *Runner) renew() error {
	p, err := r.spawn()
	if err != nil {
		return err
	}
	return r.keep(p)
}

// Freeze makes what the last run wrote a read-only layer below later runs and returns its size in bytes.
func (r *Runner) Freeze() (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		return 0, errors.New("freeze: no run has ended")
	}
	if len(r.lower) > guestproto.MaxFrozen {
		return 0, fmt.Errorf("freeze: %d layers are frozen, and there can't be more", guestproto.MaxFrozen)
	}
	// The warm-up's outputs are not the job's.
	if err := os.RemoveAll(filepath.Join(r.last.upper(), "output")); err != nil {
		return 0, fmt.Errorf("freeze: %w", err)
	}
	used, err := r.last.used()
	if err != nil {
		return 0, fmt.Errorf("freeze: %w", err)
	}
	r.lower = append([]string{r.last.upper()}, r.lower...)
	r.last = nil
	// The child that waits has a root without the frozen layer.
	if r.spare != nil {
		r.spare.discard()
		r.spare = nil
	}
	if err := r.renew(); err != nil {
		return 0, fmt.Errorf("freeze: %w", err)
	}
	return used, r.rest()
}

// take returns the next run's child, whose root may not be ready yet.
func (r *Runner) take() (*process, sandbox.Names, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lower) == 0 {
		return nil, r.names, errors.New("no image is mounted")
	}
	if r.last != nil && !r.last.small() {
		r.last.remove()
		r.last = nil
	}
	if r.spare == nil {
		if err := r.renew(); err != nil {
			return nil, r.names, err
		}
	}
	p := r.spare
	r.spare = nil
	return p, r.names, nil
}

// ended keeps the run's layer for Freeze, and returns when the next run's child waits for it.
func (r *Runner) ended(l *layer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last != nil {
		r.last.remove()
	}
	r.last = l
	if r.renew() == nil { // else take tries again, and has somebody to tell
		_ = r.rest()
	}
}

// rest returns when the spare child has nothing left to do but to wait.
func (r *Runner) rest() error {
	if r.spare == nil {
		return nil
	}
	if err := r.spare.staged(); err != nil {
		r.spare.discard()
		r.spare = nil
		return err
	}
	return nil
}

// spawn starts a child in fresh namespaces and a fresh cgroup.
func (r *Runner) spawn() (*process, error) {
	r.spawned++
	group, err := newCgroup(filepath.Join(r.config.Cgroup, "job-"+strconv.Itoa(r.spawned)), r.ids.base)
	if err != nil {
		return nil, err
	}
	p, err := spawn(r.config.Self, group, r.ids)
	if err != nil {
		group.remove()
		return nil, err
	}
	return p, nil
}

// Prepare begins a run. It returns at once; everything that happens is sent to w.
func (r *Runner) Prepare(n uint16, spec *guestproto.Job, w *guestproto.Writer) *Run {
	run := newRun(r, n, spec, w)
	go run.live()
	return run
}
