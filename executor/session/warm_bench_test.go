package session_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/session"
)

// idle is how long a pooled machine waits for its job here. A real one waits longer.
const idle = 200 * time.Millisecond

// BenchmarkPooled is a job's time in a machine as a pool holds it: baked with its warm-up frozen,
// restored, settled, warmed once more, idle. It prints medians in milliseconds:
// from QEMU's start to the first reply, then each stage of the job by the host's clock, then by the guest's,
// then QEMU's processor time from one to the next.
//
// PE_BENCH_GUESTS compares guests in turns: NAME=BUNDLES[+more of the kernel's command line], with
// commas between them, where BUNDLES is a folder as `ped guest build --out` makes it.
func BenchmarkPooled(b *testing.B) {
	var templates []*template
	for _, v := range variants(b) {
		templates = append(templates, bake(b, v))
	}
	m := marks{}
	for b.Loop() {
		for _, t := range templates {
			pooled(b, t, m)
		}
	}
	m.report(b)
}

// pooled is the life of one machine.
func pooled(b *testing.B, t *template, m marks) {
	note := func(stage string, d time.Duration) { m.note(t.name, stage, d) }
	start := time.Now()
	vm, s := t.restore(b)
	note("01-restored", time.Since(start))
	cpu := processor(b, vm)
	spent := func(stage string) {
		now := processor(b, vm)
		note(stage, now-cpu)
		cpu = now
	}
	if err := s.Ping(b.Context(), 1); err != nil {
		b.Fatal(err)
	}
	note("02-reply", time.Since(start))
	spent("30-cpu-reply")
	identify(b, s, "clone")
	note("03-identified", time.Since(start))
	spent("31-cpu-identify")
	identify(b, s, "clone")
	note("04-identified-twice", time.Since(start))
	warm := time.Now()
	run(b, s, session.Request{Job: gccVersion()})
	note("05-warmup", time.Since(warm))
	spent("32-cpu-warmup")
	identify(b, s, "clone") // is answered when the next run's sandbox is ready
	note("06-at-rest", time.Since(warm))
	time.Sleep(idle)
	spent("33-cpu-at-rest")

	start = time.Now()
	identify(b, s, "clone")
	identified := time.Now()
	out := run(b, s, session.Request{Job: gccVersion()})
	spent("34-cpu-ALL")
	note("10-identify", identified.Sub(start))
	note("11-staged", out.StagedAt.Sub(identified))
	note("12-started", out.StartedAt.Sub(out.StagedAt))
	note("13-exit", out.ExitAt.Sub(out.StartedAt))
	note("14-collected", out.CollectedAt.Sub(out.ExitAt))
	note("15-ALL", out.CollectedAt.Sub(start))
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	note("21-guest-prepare", us(out.GuestStaged.PrepareUS))
	note("22-guest-since-start", us(out.GuestStarted.SinceStartUS))
	note("23-guest-wall", us(out.Exit.WallUS))
	note("24-guest-reap", us(out.Exit.ReapUS))
	note("25-guest-cpu", us(out.Exit.Rusage.UserUS+out.Exit.Rusage.SysUS))
	note("26-guest-pack", us(out.Collected.PackUS))
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	if err := vm.Close(); err != nil {
		b.Fatal(err)
	}
}

// processor is what QEMU's threads have run so far. Unlike the time, a busy host changes it little.
func processor(b *testing.B, vm *qemu.Machine) (sum time.Duration) {
	b.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", vm.PID()))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		var ns int64
		if _, err := fmt.Sscan(string(text), &ns); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(ns)
	}
	return sum
}

// marks collects durations by stage and variant.
type marks map[string]map[string][]time.Duration

func (m marks) note(variant, stage string, d time.Duration) {
	if m[stage] == nil {
		m[stage] = map[string][]time.Duration{}
	}
	m[stage][variant] = append(m[stage][variant], d)
}

func (m marks) report(b *testing.B) {
	var stages, names []string
	for stage, byVariant := range m {
		stages = append(stages, stage)
		for name := range byVariant {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(stages)
	slices.Sort(names)
	var table strings.Builder
	fmt.Fprintf(&table, "%-22s", "stage, ms")
	for _, name := range names {
		fmt.Fprintf(&table, "%24s", name)
	}
	for _, stage := range stages {
		fmt.Fprintf(&table, "\n%-22s", stage)
		for _, name := range names {
			all := m[stage][name]
			slices.Sort(all)
			ms := func(i int) float64 { return float64(all[i].Microseconds()) / 1000 }
			fmt.Fprintf(&table, "%8.1f [%5.1f %6.1f]", ms(len(all)/2), ms(0), ms(len(all)-1))
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	b.Logf("median [least most] of %d machines, load average %s\n%s", b.N, strings.TrimSpace(string(load)), table.String())
}
