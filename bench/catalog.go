package main

import (
	"slices"
	"strings"
)

// entry describes a row, or all rows whose names begin with what stands before ".*".
type entry struct {
	name string
	// unit is ms if empty.
	unit string
	// against are rows that it is compared with: the first that was measured.
	against []string
	// atMost bounds the ratio to what it stands against, or, without such, the
	// median; atLeast the median from below. Nil: nothing was promised.
	atMost, atLeast *float64
}

func bound(f float64) *float64 { return &f }

// Units of rows; milliseconds are the rule.
const (
	ms        = "ms"
	perSecond = "/s"
	mebibytes = "MiB"
	megabytes = "MB"
	kibibytes = "KiB"
	count     = "n"
	seconds   = "s"
)

// catalog lists all rows, in the order of the table.
var catalog = []entry{
	{name: "job.warm.gcc_version", against: []string{"podman.gcc_version"}, atMost: bound(0.6)},
	{name: "job.baked.gcc_version", against: []string{"podman.gcc_version"}, atMost: bound(2.5)},
	{name: "job.cold.gcc_version", against: []string{"podman.gcc_version"}},
	{name: "job.warm.gvisor", against: []string{"podman.gcc_version"}, atMost: bound(0.5)},
	{name: "job.warm.container", against: []string{"podman.gcc_version"}, atMost: bound(0.4)},
	{name: "job.warm.*", against: []string{"podman.gcc_version"}},
	{name: "podman.gcc_version"},
	{name: "runc.gcc_version", against: []string{"podman.gcc_version"}},
	{name: "job.nowarm", against: []string{"podman.true"}},
	{name: "podman.true"},
	{name: "work.unseen", against: []string{"bare.unseen", "podman.unseen"}},
	{name: "bare.unseen"},
	{name: "podman.unseen", against: []string{"bare.unseen"}},
	{name: "work.gvisor", against: []string{"work.bare"}, atMost: bound(1.6)},
	{name: "work.container", against: []string{"work.bare"}, atMost: bound(1.15)},
	{name: "work.vm", against: []string{"work.bare"}},
	{name: "work.bare"},
	{name: "vm.restore.amd64", against: []string{"vm.boot.amd64"}, atMost: bound(0.05)},
	{name: "vm.boot.amd64"},
	{name: "vm.restore.arm64", against: []string{"vm.boot.arm64"}},
	{name: "vm.boot.arm64", atMost: bound(3000)},
	{name: "vm.restore.riscv64", against: []string{"vm.boot.riscv64"}},
	{name: "vm.boot.riscv64"},
	{name: "vm.restore.cpu", against: []string{"vm.boot.cpu"}},
	{name: "vm.boot.cpu"},
	{name: "vm.boots_per_s", unit: perSecond},
	{name: "vm.restores_per_s.1", unit: perSecond, against: []string{"vm.boots_per_s"}},
	{name: "vm.restores_per_s.2", unit: perSecond, against: []string{"vm.restores_per_s.1"}},
	{name: "clones32.pss", unit: mebibytes, against: []string{"clones32.memory"}, atMost: bound(0.08)},
	{name: "clones32.memory", unit: mebibytes},
	{name: "image.flatten", against: []string{"image.tar_mkfs"}, atMost: bound(1)},
	{name: "image.tar_mkfs"},
	{name: "snapshot.load_discard", unit: perSecond, against: []string{"vm.boots_per_s"}},
	{name: "snapshot.load_discard.*", unit: perSecond, against: []string{"snapshot.load_discard"}},
	{name: "snapshot.load_store.*", unit: perSecond, against: []string{"snapshot.load_discard"}},
	{name: "snapshot.boot_store.*", unit: perSecond, against: []string{"vm.boots_per_s"}},
	{name: "snapshot.mb_stored.*", unit: megabytes, against: []string{"snapshot.mb_memory"}},
	{name: "snapshot.mb_baked.*", unit: megabytes, against: []string{"snapshot.mb_memory"}},
	{name: "snapshot.mb_memory", unit: megabytes},
	{name: "soak.restores", unit: count},
	{name: "soak.restore"},
	{name: "soak.leaked.*", unit: count, atMost: bound(0)},
	{name: "soak.rss_slope", unit: kibibytes, atMost: bound(1024)},
	{name: "control.submit_done_per_s", unit: perSecond, atLeast: bound(500)},
	{name: "control.batch_per_s", unit: perSecond, atLeast: bound(5000)},
	{name: "control.submit_p50_ms"},
	{name: "control.submit_p99_ms", atMost: bound(50)},
	{name: "control.cpu_ms"},
	{name: "cache.hit_p50_ms", atMost: bound(5)},
	{name: "control.synced_writes", unit: count, atMost: bound(5)},
	{name: "control.synced_states", unit: count},
	{name: "control.rss_slope", unit: mebibytes, atMost: bound(1)},
	{name: "control.queue_100k_*", atMost: bound(20)},
	{name: "control.queue_100k_restart_s", unit: seconds, atMost: bound(10)},
	{name: "control.queue_100k_mib", unit: mebibytes},
	{name: "stage.control.*"},
	{name: "stage.warm.cpu.*", against: []string{"stage.warm.whole"}},
	{name: "stage.warm.*", against: []string{"stage.warm.whole"}},
	{name: "stage.*", against: []string{"job.cold.gcc_version"}},
}

// describe is a row's entry: the one with the longest name that fits.
func describe(row string) entry {
	best := entry{}
	for _, e := range catalog {
		if e.fits(row) && len(e.name) > len(best.name) {
			best = e
		}
	}
	if best.unit == "" {
		best.unit = ms
	}
	best.against = slices.DeleteFunc(slices.Clone(best.against), func(a string) bool { return a == row })
	return best
}

func (e entry) fits(row string) bool {
	prefix, family := strings.CutSuffix(e.name, "*")
	return row == e.name || family && strings.HasPrefix(row, prefix)
}

// place is where a row's entry stands in the catalog.
func place(row string) int {
	name := describe(row).name
	return slices.IndexFunc(catalog, func(e entry) bool { return e.name == name })
}
