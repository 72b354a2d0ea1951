// Package doctor looks whether a machine is fit to run jobs, and says what to
// do where it is not. It runs before any job's life begins: `ped doctor`.
//
// It changes nothing. What it reports is tried, not guessed, where a trial is
// to be had. It must not know the queue or the object store.
package doctor

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// Status of a check, from good to bad.
type Status string

// Fail means that jobs cannot run; Warn that something is missing for a part of them.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
)

// Check is what was found.
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	// Detail is one line of what is there.
	Detail string `json:"detail"`
	// Fix says what to do, in one line; empty when there is nothing to do.
	Fix string `json:"fix,omitempty"`
}

// Config is what would be used.
type Config struct {
	// DataDir holds all state; it need not exist yet.
	DataDir string
	// GuestDir holds the guest bundles.
	GuestDir string
	// Listen is the address of the API.
	Listen string
	// Archs are the architectures to look at, the one that must work first.
	Archs []string
	// Prove boots a kernel for arch and returns which accelerator works and why.
	// Nil skips the trial. [Boot] is the real one.
	Prove func(ctx context.Context, arch, kernel string) (accel, reason string, err error)
	// Try runs something in gVisor, or in a container, breaks each limit in it, and says
	// whether all held, and if not what to change. Nil skips the trials.
	Try func(ctx context.Context, isolation string) (works bool, reason string, err error)
}

// Run makes all checks.
func Run(ctx context.Context, c Config) []Check {
	checks := []Check{c.dataDir(), c.disk(), c.address(ctx), c.memory()}
	for i, arch := range c.Archs {
		bad := Warn
		if i == 0 {
			bad = Fail
		}
		checks = append(checks, c.machine(ctx, arch, bad)...)
	}
	return append(append(checks, c.contained(ctx)...), c.user(), c.cgroups(), c.imageTools())
}

// Fit reports whether nothing failed.
func Fit(checks []Check) bool {
	for _, c := range checks {
		if c.Status == Fail {
			return false
		}
	}
	return true
}

// dataDir looks whether the data directory, or the folder it would be made in, can be written.
func (c Config) dataDir() Check {
	check := Check{Name: "data directory", Status: OK, Detail: c.DataDir}
	dir := existing(c.DataDir)
	if !writable(dir) {
		check.Status, check.Detail = Fail, "cannot write in "+dir
		check.Fix = "choose another with --data-dir, or make it this user's: chown"
	}
	return check
}

// existing is the nearest folder above path that is there.
func existing(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return "."
	}
	for path != filepath.Dir(path) {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return path
		}
		path = filepath.Dir(path)
	}
	return path
}

func (c Config) address(ctx context.Context) Check {
	check := Check{Name: "address", Status: OK, Detail: c.Listen + " is free"}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		// Our own running instance holds it too, so this is no failure.
		check.Status, check.Detail = Warn, err.Error()
		check.Fix = "stop what uses it (ss -ltnp), or choose another with --listen"
		return check
	}
	listener.Close()
	return check
}

// imageTools are for building images from packages, not for running jobs.
func (c Config) imageTools() Check {
	check := Check{Name: "image tools", Status: OK, Detail: "mmdebstrap, for building images from Debian packages"}
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		check.Status, check.Detail = Warn, "no mmdebstrap: images can be pulled and imported, not built from packages"
		check.Fix = "deploy/setup.sh --for demo"
	}
	return check
}
