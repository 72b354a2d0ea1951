package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/internal/roles"
	"github.com/program-explorer/pe/internal/vmbench"
)

// benchCommand is what `ped vm bench` was told.
type benchCommand struct {
	bakeCommand
	image, measure              string
	runs, workers, clones, soak int
}

func (t *vmTool) bench() *cobra.Command {
	b := &benchCommand{bakeCommand: bakeCommand{vmTool: t, memory: 512 << 20, cpus: 1}}
	cmd := &cobra.Command{
		Use:   "bench --image IMAGE [flags] [-- COMMAND…]",
		Short: "Measure what snapshots are worth on this machine",
		Long: `Measure restores of an image's machine, which is baked first if need be:

  restore   from a restore's start to the guest's first reply, each beside a cold boot
  discard   restore, first reply, throw away
  store     restore with memory of its own, first reply, store as another snapshot
  pss       host memory of --clones machines, each after a small job
  soak      --for restores, and what they leave in processes, files and memory

The small job is COMMAND, else the image's warm-up. Per-second figures are those of
--workers at once. What is stored goes to DATA-DIR and is removed at the end, also
after Ctrl-C.`,
		Example: `  ped vm bench --catalog catalog.yaml --image gcc
  ped vm bench --image docker.io/library/busybox --measure pss --clones 16 -- true
  ped vm bench --image gcc --measure store --workers 2 --json`,
		RunE: func(cmd *cobra.Command, args []string) error { return b.run(cmd.Context(), args) },
	}
	f := cmd.Flags()
	f.StringVar(&b.image, "image", "", "`IMAGE` to measure with: a reference (required)")
	f.StringVar(&b.measure, "measure", vmbench.Restore, "`WHAT` to measure: "+strings.Join(vmbench.Measures, ", "))
	f.IntVar(&b.runs, "runs", 20, "`N` samples of restore, discard and store")
	f.IntVar(&b.workers, "workers", 1, "`N` go at once")
	f.IntVar(&b.clones, "clones", 32, "`N` machines of pss")
	f.IntVar(&b.soak, "for", 10_000, "`N` restores of soak")
	require(cmd, "image")
	return b.flags(cmd, "")
}

func (b *benchCommand) run(ctx context.Context, command []string) error {
	if !slices.Contains(vmbench.Measures, b.measure) {
		return usageError{fmt.Errorf("measure %q: want one of %s", b.measure, strings.Join(vmbench.Measures, ", "))}
	}
	if b.times() < 1 || b.workers < 1 {
		return usageError{fmt.Errorf("nothing to do: want at least one of --runs, --clones, --for and --workers")}
	}
	tools, err := b.tools(ctx)
	if err != nil {
		return err
	}
	defer tools.Close()
	shape, snap, _, err := b.ready(ctx, tools, b.image)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer shape.Image.Release()
	defer snap.Release()
	result, err := tools.Bench(ctx, roles.BenchConfig{
		Shape: shape, Snapshot: snap, Measure: b.measure, Times: b.times(), Workers: b.workers,
		Command: command, Progress: b.tell(time.Now()),
	})
	if err != nil {
		return interrupted(ctx, err)
	}
	if b.json {
		return b.printJSON(result)
	}
	return b.print(result)
}

// times is how often the measured thing is done.
func (b *benchCommand) times() int {
	switch b.measure {
	case vmbench.PSS:
		return b.clones
	case vmbench.Soak:
		return b.soak
	}
	return b.runs
}

// tellEvery is how often progress is told.
const tellEvery = 5 * time.Second

func (b *benchCommand) tell(last time.Time) func(done, of int) {
	return func(done, of int) {
		if time.Since(last) >= tellEvery {
			last = time.Now()
			fmt.Fprintf(b.stderr, "ped: %s: %d of %d\n", b.measure, done, of)
		}
	}
}

// print shows what was measured, without what was not.
func (b *benchCommand) print(r vmbench.Result) error {
	w := tabwriter.NewWriter(b.stdout, 0, 0, 2, ' ', 0)
	row := func(name, format string, a ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, a...)) }
	row("measure", "%s", r.Measure)
	row("how", "%s", r.How)
	row("machine", "%s %s, %s, %s", r.Arch, r.Accel, sizeText(r.MemoryBytes), b.image)
	row("samples", "%d, with %d at once; load %s, then %s", len(r.SamplesMS), r.Workers, r.Load[0], r.Load[1])
	spread(row, "time", r.SamplesMS)
	spread(row, "cold boot", r.BootMS)
	spread(row, "QEMU's CPU", r.CPUMS)
	spread(row, "QEMU's CPU, boot", r.BootCPUMS)
	for _, name := range []string{"copy", "restore", "save", "publish"} {
		if ms, ok := r.PhasesMS[name]; ok {
			row("  of it, "+name, "%.1f ms", ms)
		}
	}
	row("per second", "%.2f", r.PerSecond)
	row("first restore", "%.1f ms, with reading the snapshot", r.FirstMS)
	if r.PSSBytes > 0 {
		row("memory", "%s, %s for each (sum of Pss)", sizeText(r.PSSBytes), sizeText(r.PSSBytes/int64(max(1, r.Runs))))
		row("template", "%s, of which %s is mapped by none of them", sizeText(r.TemplateBytes), sizeText(r.TemplateUnmappedBytes))
	}
	if len(r.StoredBytes) > 0 {
		total := int64(0)
		for _, n := range r.StoredBytes {
			total += n
		}
		row("stored", "%s for each, on %s", sizeText(total/int64(len(r.StoredBytes))), r.Filesystem)
	}
	if r.RSSSlope != nil {
		row("own memory", "%+.0f KiB per 1,000 restores", *r.RSSSlope/1024)
	}
	row("left behind", "%d processes, %d descriptors, %d files", r.Leaked.Processes, r.Leaked.FDs, r.Leaked.Files)
	return w.Flush()
}

func spread(row func(name, format string, a ...any), name string, list []float64) {
	if len(list) > 0 {
		row(name, "median %.1f ms, %.1f to %.1f", vmbench.Median(list), slices.Min(list), slices.Max(list))
	}
}
