package snapshot_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/session"
)

// marks collects durations under a name each, and reports their medians.
type marks map[string][]time.Duration

func (m marks) note(name string, since time.Time) {
	m[name] = append(m[name], time.Since(since))
}

func (m marks) report(b *testing.B) {
	for name, all := range m {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, name+"-ms")
	}
	load, _ := os.ReadFile("/proc/loadavg")
	b.Logf("load average %s", strings.TrimSpace(string(load)))
}

// BenchmarkBoot is what a restore stands against: from QEMU's start to the guest's Ready.
func BenchmarkBoot(b *testing.B) {
	g := newGuest(b)
	m := marks{}
	for b.Loop() {
		c := g.config
		c.User, c.Disks = qemu.SlotUser(90), disks(b, g.rootfs, nil)
		start := time.Now()
		vm, err := qemu.Boot(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err = session.Open(b.Context(), vm.Channel(), session.Options{}); err != nil {
			b.Fatal(err)
		}
		m.note("ready", start)
		if err := vm.Close(); err != nil {
			b.Fatal(err)
		}
	}
	m.report(b)
}

// BenchmarkRestore is from QEMU's start until the guest runs, has answered, is unlike
// its siblings, and has run a first and a second command.
func BenchmarkRestore(b *testing.B) { benchmarkRestore(b, 256<<20) }

// BenchmarkRestoreLarge is the same with a machine of 8 GiB.
func BenchmarkRestoreLarge(b *testing.B) { benchmarkRestore(b, 8<<30) }

func benchmarkRestore(b *testing.B, memory int64) {
	g := newGuestOf(b, memory)
	snap, _, err := g.store.Get(b.Context(), g.key, g.rootfs, g.bake(b))
	if err != nil {
		b.Fatal(err)
	}
	defer snap.Release()
	m := marks{}
	start := time.Now()
	warm, _ := g.clone(b, snap, 30) // loads the template
	m.note("first-in-process", start)
	if err := warm.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		start := time.Now()
		vm, s := g.clone(b, snap, 30)
		m.note("runs", start)
		if err := s.Ping(b.Context(), 1); err != nil {
			b.Fatal(err)
		}
		m.note("reply", start)
		if err := personalise(b.Context(), s, "bench"); err != nil {
			b.Fatal(err)
		}
		m.note("identified", start)
		for _, name := range []string{"first", "second"} {
			if _, err := run(b.Context(), s, "echo warm"); err != nil {
				b.Fatal(err)
			}
			m.note(name, start)
		}
		if err := vm.Close(); err != nil {
			b.Fatal(err)
		}
	}
	m.report(b)
	if all, err := g.store.List(); err == nil && len(all) == 1 {
		b.ReportMetric(float64(all[0].Bytes>>20), "disk-MiB")
		b.ReportMetric(float64(snap.Resident()>>20), "template-MiB")
	}
}
