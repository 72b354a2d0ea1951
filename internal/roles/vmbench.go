package roles

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/internal/vmbench"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// BenchConfig is what is measured of a machine.
type BenchConfig struct {
	// Shape is the machine's, and Snapshot what was baked of it.
	Shape    executor.Shape
	Snapshot *snapshot.Snapshot
	// Measure is one of vmbench.Measures; Times and Workers are vmbench.Config's.
	Measure        string
	Times, Workers int
	// Command is the small job. Default: the image's warm-up, else "true".
	Command  []string
	Progress func(done, of int)
}

// Bench measures a machine. What it stores is in the data directory, and is removed.
func (t *Tools) Bench(ctx context.Context, c BenchConfig) (_ vmbench.Result, err error) {
	note, err := vm.ReadNote(c.Snapshot.Manifest())
	if err != nil {
		return vmbench.Result{}, err
	}
	if err := sweepBenches(t.dir); err != nil {
		return vmbench.Result{}, err
	}
	dir, remove, err := benchDir(t.dir)
	if err != nil {
		return vmbench.Result{}, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	return vmbench.Run(ctx, vmbench.Config{
		Measure: c.Measure, Times: c.Times, Workers: c.Workers, Progress: c.Progress,
		Snapshot: c.Snapshot, Runs: note.Runs, Rootfs: c.Shape.Image.ErofsPath, RootDisk: vm.RootDisk,
		Describe: func() (qemu.Config, func(), error) { return t.Runner.Describe(c.Shape) },
		Dir:      dir, Watch: []string{t.runDir()}, Jobs: smallJobs(c.Shape, c.Command),
	})
}

// jobScratch is what a small job may write, in bytes.
const jobScratch = 256 << 20

// smallJobs are what each machine runs where it is to have run something.
func smallJobs(shape executor.Shape, command []string) []guestproto.Job {
	var jobs []guestproto.Job
	for _, w := range shape.Warmup {
		if w.Files == nil {
			w.Job.Limits.Scratch = jobScratch
			jobs = append(jobs, w.Job)
		}
	}
	if len(command) == 0 && len(jobs) > 0 {
		return jobs
	}
	if len(command) == 0 {
		command = []string{"true"}
	}
	return []guestproto.Job{{
		Argv: command, Env: slices.Clone(shape.Image.Config.Env), Cwd: schemas.DefaultCwd, User: shape.Image.Config.User,
		Limits: guestproto.Limits{WallMS: 60_000, Log: schemas.StdioHead, Scratch: jobScratch},
		Input:  guestproto.Input{Via: guestproto.ViaNone}, Stdin: guestproto.Stdin{Via: guestproto.ViaNone},
		Output: guestproto.Output{Via: guestproto.ViaNone},
	}}
}

// runDir is where the runner's machines leave files while they run.
func (t *Tools) runDir() string { return runDir(t.dir, t.arch, t.Runner.Offering().Kernel) }

// benchPrefix is that of the folders for what measurements store.
const benchPrefix = "vm-bench-"

// benchDir makes a folder that is locked until it is removed.
func benchDir(dataDir string) (dir string, remove func() error, err error) {
	if dir, err = os.MkdirTemp(dataDir, benchPrefix); err != nil {
		return "", nil, fmt.Errorf("make folder to measure in: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return "", nil, errors.Join(err, os.Remove(dir))
	}
	return dir, func() error { return errors.Join(os.RemoveAll(dir), lock.Close()) }, nil
}

// sweepBenches removes what measurements left that were killed: nobody holds their locks.
func sweepBenches(dataDir string) error {
	left, err := filepath.Glob(filepath.Join(dataDir, benchPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		lock, err := lockDir(dir)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, os.ErrNotExist) {
			continue // another measures at this moment
		}
		if err != nil {
			return err
		}
		if err := errors.Join(os.RemoveAll(dir), lock.Close()); err != nil {
			return fmt.Errorf("remove what an earlier measurement left: %w", err)
		}
	}
	return nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
	return f, nil
}
