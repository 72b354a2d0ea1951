package vmbench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// What can be measured.
const (
	Restore = "restore" // from a restore's start to the guest's first reply, beside cold boots
	Discard = "discard" // restore, first reply, throw away
	Store   = "store"   // restore with memory of its own, first reply, bake into another stored snapshot
	PSS     = "pss"     // the host's memory that many restored machines take
	Soak    = "soak"    // thousands of restores, and what they leave behind
)

// Measures are all of them.
var Measures = []string{Restore, Discard, Store, PSS, Soak}

// Config of a measurement. All but those with a default are required.
type Config struct {
	// Measure is one of Measures.
	Measure string
	// Snapshot is what machines are restored from, and Runs how many its guest has had.
	Snapshot *snapshot.Snapshot
	Runs     uint16
	// Rootfs is the path of the image's EROFS file, for the machines that boot.
	Rootfs string
	// RootDisk is the name of the disk with the image.
	RootDisk string
	// Describe describes another machine of the snapshot's kind, with disks of its own but
	// without the image's. Done is called after the machine's end.
	Describe func() (c qemu.Config, done func(), err error)
	// Dir is a folder for what the measurement stores, on the file system to be measured.
	Dir string
	// Watch are folders in which nothing may be left.
	Watch []string
	// Jobs are run in each machine of PSS, one after the other.
	Jobs []guestproto.Job

	// Times is how often the thing is done. Default 20.
	Times int
	// Workers is how many do it at once. Default 1.
	Workers int
	// Progress hears how far it is. Default: nobody.
	Progress func(done, of int)
}

// Result of a measurement. Times are in milliseconds, sizes in bytes.
type Result struct {
	Measure string `json:"measure"`
	Arch    string `json:"arch"`
	Accel   string `json:"accel"`
	Runs    int    `json:"runs"`
	Workers int    `json:"workers"`
	// How says what was measured, in words.
	How string `json:"how"`
	// SamplesMS are the times of the thing itself, one machine at a time for Restore, with Workers at once otherwise.
	SamplesMS []float64 `json:"samples_ms"`
	// PerSecond is how often Workers together did it, from the first start to the last end.
	PerSecond float64 `json:"per_second"`
	// FirstMS is the first restore in the process, which reads the snapshot into memory. Not a sample.
	FirstMS float64 `json:"first_ms"`
	// BootMS are cold boots of the same machine to the guest's first word, one after each sample.
	BootMS []float64 `json:"boot_ms,omitempty"`
	// CPUMS is the CPU time of each machine's QEMU, and BootCPUMS of those that booted.
	CPUMS     []float64 `json:"cpu_ms"`
	BootCPUMS []float64 `json:"boot_cpu_ms,omitempty"`
	// PhasesMS are the medians of the thing's parts.
	PhasesMS map[string]float64 `json:"phases_ms,omitempty"`

	// MemoryBytes is the memory that each guest has.
	MemoryBytes int64 `json:"memory_bytes"`
	// PSSBytes is the sum of Pss of all machines.
	PSSBytes int64 `json:"pss_bytes,omitempty"`
	// TemplateBytes is the snapshot in the host's memory, and TemplateUnmappedBytes what of
	// it no machine maps, which PSSBytes does not count.
	TemplateBytes         int64 `json:"template_bytes,omitempty"`
	TemplateUnmappedBytes int64 `json:"template_unmapped_bytes,omitempty"`

	// StoredBytes is the disk that each stored snapshot took for itself alone.
	StoredBytes []int64 `json:"stored_bytes,omitempty"`
	// Filesystem is Config.Dir's.
	Filesystem string `json:"filesystem"`

	// RSSSlope is by how many bytes this process's memory grew with each 1,000 restores.
	RSSSlope *float64 `json:"rss_slope_bytes_per_1000,omitempty"`
	// RSS are samples of that memory: after how many restores, how many bytes.
	RSS    [][2]int64 `json:"rss_samples,omitempty"`
	Leaked Leaked     `json:"leaked"`
	// Load is the host's load average before and after.
	Load [2]string `json:"load"`
}

type bench struct {
	Config
	result Result
}

// Run measures. Nothing of it is left when it returns, whether by its end or by ctx's.
func Run(ctx context.Context, c Config) (Result, error) {
	if c.Times <= 0 {
		c.Times = 20
	}
	if c.Workers <= 0 {
		c.Workers = 1
	}
	if c.Progress == nil {
		c.Progress = func(int, int) {}
	}
	b := &bench{Config: c}
	measure := map[string]func(context.Context) error{
		Restore: b.restores, Discard: b.discards, Store: b.stores, PSS: b.pss, Soak: b.soak,
	}[c.Measure]
	if measure == nil {
		return Result{}, fmt.Errorf("measure %q: want %s", c.Measure, strings.Join(Measures, ", "))
	}
	b.result = Result{
		Measure: c.Measure, Runs: c.Times, Workers: c.Workers, SamplesMS: []float64{}, CPUMS: []float64{},
		MemoryBytes: c.Snapshot.Manifest().RAM.Size, Filesystem: filesystem(c.Dir), Load: [2]string{loadAverage()},
	}
	if err := b.first(ctx); err != nil {
		return b.result, fmt.Errorf("measure %s: %w", c.Measure, err)
	}
	before := b.count()
	if err := measure(ctx); err != nil {
		return b.result, fmt.Errorf("measure %s: %w", c.Measure, err)
	}
	b.result.Leaked = b.count().less(before)
	b.result.Load[1] = loadAverage()
	return b.result, nil
}

// first restores two machines that do not count: the snapshot is read into memory, and whatever this process
// opens once and keeps is open.
func (b *bench) first(ctx context.Context) error {
	for i := range 2 {
		l, err := b.restore(ctx, b.Snapshot, nil)
		if err != nil {
			return err
		}
		if i == 0 {
			b.result.FirstMS = ms(l.replied.Sub(l.began))
			b.result.Arch, b.result.Accel = l.arch, l.accel
		}
		if err := l.close(); err != nil {
			return err
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Median of a list; 0 of none.
func Median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
