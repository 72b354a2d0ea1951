package vm_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/schemas"
)

// foreign are the architectures that are emulated on an amd64 host; amd64 has tests of each
// part of what TestForeign asks of these as a whole.
var foreign = []string{"arm64", "riscv64"}

// bigInput does not go over the channel: the machine's input disk grows after its restore.
const bigInput = 700 << 10

// TestForeign takes a job with large input and output disks through a machine that was
// baked, one that was restored and one that waited, and compares what must differ.
func TestForeign(t *testing.T) {
	t.Parallel()
	for _, arch := range foreign { // one after the other: each takes a processor
		t.Run(arch, func(t *testing.T) {
			host, registry := newHost(t, t.TempDir(), func(c *vm.HostConfig) { c.PoolBytes = 1 << 30 })
			r := newRunnerOf(t, host, arch)
			shape := shapeOf(t, imageFor(t, "busybox", arch))
			shape.OutputBytes = 2 * schemas.OutputRange.Default
			seen := map[string]bool{}
			check := func(name string, got inForeign) {
				if !strings.HasPrefix(got.release, strings.SplitN(r.Offering().Kernel, "-", 2)[0]) {
					t.Errorf("%s: kernel %s", name, got.release)
				}
				if got.bytes != bigInput || got.files["copy"] == "" || len(got.files["copy"]) != bigInput {
					t.Errorf("%s: read %d bytes, wrote %d", name, got.bytes, len(got.files["copy"]))
				}
				if got.clock < -1100*time.Millisecond || got.clock > 2*time.Second { // it is told in whole seconds
					t.Errorf("%s: the clock is %v off", name, got.clock)
				}
				if got.ticked < 90*time.Millisecond || got.ticked > 2*time.Second {
					t.Errorf("%s: a tenth of a second took %v by the guest's counter", name, got.ticked)
				}
				for _, own := range got.own {
					if own == "" || seen[own] {
						t.Errorf("%s: %q was another machine's", name, own)
					}
					seen[own] = true
				}
				t.Logf("%s: %s", name, spansText(got.Spans))
			}
			check("baked", runForeign(t, r, withName(shape, "first"), schemas.StartRestored))
			deadline := time.Now().Add(2 * time.Minute)
			for n, got := 0, (inForeign{}); got.Start != schemas.StartPooled; n++ {
				if time.Now().After(deadline) {
					t.Fatal("no machine ever waits")
				}
				got = runForeign(t, r, withName(shape, fmt.Sprint("later-", n)), "")
				check(got.Start, got)
			}
			noFallback(t, registry)
		})
	}
}

func noFallback(t *testing.T, registry *prometheus.Registry) {
	t.Helper()
	if n := counted(t, registry, "pe_executor_vm_fallbacks_total"); n != 0 {
		t.Errorf("%v machines booted instead", n)
	}
}

// inForeign is what a job found.
type inForeign struct {
	ran
	release string
	bytes   int
	clock   time.Duration // against the host's
	ticked  time.Duration // what a sleep of 0.1 s took
	own     []string      // random, of this machine alone
}

// foreignJob needs nothing but a shell with its tools.
const foreignJob = `uname -r; wc -c < /work/big; cp /work/big /output/copy
date +%s
cut -d' ' -f1 /proc/uptime; sleep 0.1; cut -d' ' -f1 /proc/uptime
cat /proc/sys/kernel/random/uuid; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n'; echo; cat /proc/sys/kernel/random/boot_id; hostname`

func runForeign(t *testing.T, r *vm.Runner, shape executor.Shape, start string) inForeign {
	t.Helper()
	m, err := r.Start(t.Context(), shape)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	input := bigTar(t)
	if _, err := m.Input().WriteAt(input, 0); err != nil {
		t.Fatal(err)
	}
	job := shellJob(foreignJob)
	job.Limits.Output = 4 << 20
	got := inForeign{}
	said := ""
	var began time.Time
	got.Ended, err = m.Run(t.Context(), executor.Work{
		Job: job, InputBytes: int64(len(input)), Stage: func(string) {},
		Stdout: func(p []byte) { got.stdout += string(p) }, Stderr: func(p []byte) { said += string(p) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range got.Spans {
		if s.Name == schemas.SpanRunning {
			began = time.UnixMicro(s.StartUS)
		}
	}
	got.files = untar(t, got.Outputs)
	if start != "" && got.Start != start {
		t.Errorf("machine was %s, want %s", got.Start, start)
	}
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if len(lines) != 9 || got.Exit.Code != 0 {
		t.Fatalf("exit %+v, stdout %q, stderr %q", got.Exit, got.stdout, said)
	}
	got.release = lines[0]
	got.bytes, _ = strconv.Atoi(lines[1])
	got.clock = time.Unix(0, int64(number(t, lines[2])*1e9)).Sub(began)
	got.ticked = time.Duration((number(t, lines[4]) - number(t, lines[3])) * 1e9)
	got.own = lines[5:]
	return got
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func bigTar(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "big", Typeflag: tar.TypeReg, Mode: 0o644, Size: bigInput}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Repeat([]byte("0123456789abcde\n"), bigInput/16)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func spansText(spans []schemas.Span) string {
	var all []string
	for _, s := range spans {
		all = append(all, fmt.Sprintf("%s %.1f ms", s.Name, float64(s.EndUS-s.StartUS)/1000))
	}
	return strings.Join(all, ", ")
}
