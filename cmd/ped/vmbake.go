package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/internal/roles"
	"github.com/program-explorer/pe/internal/settings"
)

// bakeCommand is what `ped vm bake` and `ped vm bench` were told of the machine.
type bakeCommand struct {
	*vmTool
	guest  guestFlags
	images imageFlags
	arch   string
	memory settings.Size
	cpus   int
}

// flags binds what both commands have. Of the machine's size they have other defaults, which whatDefault says.
func (b *bakeCommand) flags(cmd *cobra.Command, whatDefault string) *cobra.Command {
	f := cmd.Flags()
	f.StringVar(&b.arch, "arch", runtime.GOARCH, "`ARCH`: amd64, arm64 or riscv64")
	f.IntVar(&b.cpus, "cpus", b.cpus, "`N` processors of the machine"+whatDefault)
	f.Var(&b.memory, "memory", "`SIZE` of the machine's memory: 256MiB, 512MiB, 1GiB, …"+whatDefault)
	f.BoolVar(&b.json, "json", false, "print JSON")
	return b.configured(cmd, b.data.bind(b.getenv), b.guest.bind(), b.images.bindSources(), b.images.bindCache())
}

func (t *vmTool) bake() *cobra.Command {
	b := &bakeCommand{vmTool: t}
	cmd := &cobra.Command{
		Use:   "bake IMAGE…",
		Short: "Have snapshots ready before their first job",
		Long: `Pull images and bake a machine of each: it boots, mounts the image, runs the warm-up
that the catalog has for it, and is stored. One that is there already is left as it is.
An executor does the same when the first job comes; this spares that job the wait.

Without --memory and --cpus it is the machine of jobs without limits of their own.`,
		Example: `  ped vm bake --catalog catalog.yaml gcc python
  ped vm bake --arch riscv64 --memory 2GiB --cpus 2 docker.io/library/gcc:14`,
		Args: atLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tools, err := b.tools(cmd.Context())
			if err != nil {
				return err
			}
			defer tools.Close()
			for _, reference := range args {
				if err := b.one(cmd.Context(), tools, reference); err != nil {
					return interrupted(cmd.Context(), err)
				}
			}
			return nil
		},
	}
	return b.flags(cmd, " (default: a job's, without limits of its own)")
}

func (b *bakeCommand) tools(ctx context.Context) (*roles.Tools, error) {
	sources, err := b.images.sources()
	if err != nil {
		return nil, err
	}
	return roles.NewTools(ctx, roles.ToolsConfig{
		Dir: b.data.dir, GuestDir: b.guest.in(b.data.dir), Arch: b.arch, Images: sources, ImageBytes: int64(b.images.cacheSize),
		Log: slog.New(slog.NewTextHandler(b.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}

// bakedInfo is what came of a bake.
type bakedInfo struct {
	machineInfo
	Fresh bool `json:"fresh"` // it was not there before
}

func (b *bakeCommand) one(ctx context.Context, tools *roles.Tools, reference string) error {
	shape, snap, fresh, err := b.ready(ctx, tools, reference)
	if err != nil {
		return err
	}
	defer shape.Image.Release()
	defer snap.Release()
	m := snap.Manifest()
	info := describe(snapshot.Info{ID: m.ID, Manifest: m, Bytes: snap.Bytes(), Used: time.Now()}, stateReady)
	if b.json {
		return b.printJSON(bakedInfo{info, fresh})
	}
	verb := "was there already, baked " + timeText(info.Baked)
	if fresh {
		verb = "baked in " + msText(info.BakeMS)
	}
	_, err = fmt.Fprintf(b.stdout, "%s  %s %s, %s, %d cpus: %s (%s of disk)\n", short(info.ID), reference, info.Arch,
		sizeText(info.Memory), info.CPUs, verb, sizeText(info.Disk))
	return err
}

// ready pulls an image and has a snapshot of its machine, and tells what it is at. The caller
// releases the snapshot, and the shape's image.
func (b *bakeCommand) ready(ctx context.Context, tools *roles.Tools, reference string) (executor.Shape, *snapshot.Snapshot, bool, error) {
	reference, err := absolute(reference)
	if err != nil {
		return executor.Shape{}, nil, false, err
	}
	fmt.Fprintf(b.stderr, "ped: pulling %s for %s\n", reference, b.arch)
	image, err := tools.Pull(ctx, reference)
	if err != nil {
		return executor.Shape{}, nil, false, err
	}
	shape, err := tools.Shape(image, int64(b.memory), b.cpus)
	if err != nil {
		image.Release()
		return shape, nil, false, usageError{err}
	}
	fmt.Fprintf(b.stderr, "ped: baking its machine, unless there is one: a boot, and %d commands of warm-up\n", len(shape.Warmup))
	snap, fresh, err := tools.Runner.Snapshot(ctx, shape)
	if err != nil {
		image.Release()
	}
	return shape, snap, fresh, err
}
