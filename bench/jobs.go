package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// contestants lists all that is measured.
func contestants(ctx context.Context, c config, work string) []contestant {
	in := func(name string) string { return filepath.Join(work, name) }
	image := func(name string) string { return filepath.Join(c.cache, "images", name) }
	// Three ways for a machine to come to be, each with a system of its own.
	cold := &box{config: c, dir: in("cold"), starts: "booted", flags: []string{"--pool-memory=0", "--snapshot-disk=0"}}
	baked := &box{config: c, dir: in("baked"), starts: "restored", flags: []string{"--pool-memory=0"}}
	warm := &box{config: c, dir: in("warm"), starts: "pooled"}
	ways := &box{config: c, dir: in("ways"), starts: "pooled", flags: allWays(c)}
	foreigners := &box{config: c, dir: in("foreign"), starts: "pooled"}
	gcc := rootfs{image: image("gcc"), dir: in("rootfs-gcc")}
	busybox := rootfs{image: image("busybox"), dir: in("rootfs-busybox")}
	unseen := source{archives: filepath.Join(c.cache, "sources", "zlib"), dir: in("zlib")}
	all := []contestant{
		job("job.warm.gcc_version", warm, gccSpec), podman("podman.gcc_version", gcc, gccVersion, gccSays),
		job("job.baked.gcc_version", baked, gccSpec), runc(gcc, in("bundle")),
		coldJob(cold), warmStages(warm),
		job("job.nowarm", warm, trueSpec), podman("podman.true", busybox, trueArgs, ""),
		unseen.job(warm), unseen.podman(gcc), unseen.bare(),
		flatten(c, image("gcc"), in("flatten")), tarMkfs(image("gcc"), in("tar")),
	}
	all = append(all, containedJobs(ways)...)
	all = append(all, foreignJobs(foreigners)...)
	all = append(all, works(ways, gcc, source{archives: filepath.Join(c.cache, "sources", "libzstd"), dir: in("zstd")})...)
	all = append(all, control(c, work)...)
	return append(all, machines(ctx, c, work)...)
}

// gccVersion is run everywhere, and says gccSays.
var gccVersion = []string{"gcc", "--version"}

const gccSays = "Free Software Foundation"

var gccSpec = schemas.JobSpec{Image: "gcc", Args: gccVersion, Requires: amd64}

// trueArgs do nothing, in an image for which nothing is warmed up.
var trueArgs = []string{"busybox", "true"}

var trueSpec = schemas.JobSpec{Image: "busybox", Args: trueArgs, Requires: amd64}

var amd64 = schemas.Requires{Arch: "amd64"}

// setup starts the box and gets it ready for a job.
func (b *box) setup(spec schemas.JobSpec) func(context.Context) (func() error, error) {
	return func(ctx context.Context) (func() error, error) {
		undo, err := b.start(ctx)
		if err != nil {
			return undo, err
		}
		return undo, b.prime(ctx, spec)
	}
}

// job is a job's whole way, from submission to result.
func job(row string, b *box, spec schemas.JobSpec) contestant {
	return contestant{rows: []string{row}, setup: b.setup(spec), once: func(ctx context.Context) (sample, error) {
		l, err := b.life(ctx, spec)
		return took(row, l.ms()), err
	}}
}

// coldJob is the whole way of a job whose image is cached and whose machine boots, with its stages.
func coldJob(b *box) contestant {
	const row = "job.cold.gcc_version"
	return contestant{rows: stageRows("stage.", row), setup: b.setup(gccSpec), once: func(ctx context.Context) (sample, error) {
		l, err := b.life(ctx, gccSpec)
		if err != nil {
			return sample{}, err
		}
		s := l.stages("stage.")
		s.values[row] = []float64{l.ms()}
		ran := l.job.Result.RanOn
		s.facts = map[string]string{"accel": ran.Accel, "guest": ran.Kernel + ", " + ran.CPUModel, "machine": fmt.Sprintf("%d MiB", ran.MachineBytes>>20)}
		return s, nil
	}}
}

// life runs a job, checks what it says and what ran it, and waits until the box is ready for the next.
func (b *box) life(ctx context.Context, spec schemas.JobSpec) (life, error) {
	var l life
	var err error
	if l.job, l.began, l.ended, err = b.run(ctx, spec); err != nil {
		return l, err
	}
	if how := l.job.Result.RanOn.Start; how != b.starts {
		return l, fmt.Errorf("the machine of job %s was %s, not %s", l.job.ID, how, b.starts)
	}
	if text := l.job.Result.Stdout.Text; slices.Equal(spec.Args, gccVersion) && !strings.Contains(text, gccSays) {
		return l, fmt.Errorf("job %s printed %q", l.job.ID, text)
	}
	return l, b.quiet(ctx)
}
