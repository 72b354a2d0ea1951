package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/internal/hosttest"
	"github.com/program-explorer/pe/schemas"
)

// kernels are the releases that the cache has for an architecture.
func kernels(t *testing.T, arch string) []string {
	t.Helper()
	entries, err := os.ReadDir(cache(t, "guest", arch))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			all = append(all, e.Name())
		}
	}
	return all
}

// A job gets the kernel that it names, and one that names none gets the newest without
// a known fault.
func TestKernels(t *testing.T) {
	t.Parallel()
	s := shared(t)
	have := kernels(t, "amd64")
	for _, debian := range []string{"6.1.", "6.12."} { // 12 and 13
		if !slices.ContainsFunc(have, func(release string) bool { return strings.HasPrefix(release, debian) }) {
			hosttest.Missing(t, "no kernel %s among %q: run deploy/setup.sh --for test", debian, have)
		}
	}
	byDefault := ""
	for _, release := range have {
		wish := strings.Join(strings.SplitN(release, ".", 3)[:2], ".")
		if strings.HasPrefix(release, "6.1.") {
			byDefault = release
		}
		s.pe(t, "run", "--no-output", "--image", "busybox", "--kernel", wish, "--", "uname", "-r").want(t, 0).says(t, release)
		job := s.busybox(t, "uname -r", "--kernel", release)
		if job.Result == nil || job.Result.RanOn.Kernel != release {
			t.Errorf("a job for %s: %+v", release, job.Result)
		}
	}
	job := s.busybox(t, "uname -r")
	if job.Result == nil || job.Result.RanOn.Kernel != byDefault || strings.TrimSpace(job.Result.Stdout.Text) != byDefault {
		t.Errorf("a job for any: %+v", job.Result)
	}
}

// Features are what the guest's kernel names, and there before the first job.
func TestOffers(t *testing.T) {
	t.Parallel()
	s := shared(t)
	executors, err := s.client(t).Executors(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var offered []string
	for _, e := range executors {
		for _, o := range e.Offers {
			offered = append(offered, o.Kernel)
			if o.Isolation == schemas.IsolationVM && (!slices.Contains(o.Features, "sse2") || o.CPUModel == "") {
				t.Errorf("offered: %+v", o)
			}
		}
	}
	if len(offered) < 2 {
		t.Errorf("kernels offered: %q", offered)
	}
	if job := s.busybox(t, "grep -cw sse2 /proc/cpuinfo", "--feature", "sse2"); job.Result == nil {
		t.Errorf("a job that wants sse2: %+v", job)
	}
}

// One image, one daemon, and machines of each architecture.
func TestArchitectures(t *testing.T) {
	t.Parallel()
	s := up(t, "--guest-dir", cache(t, "guest"), "--pool-memory", "0")
	for arch, machine := range map[string]string{"amd64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64"} {
		cache(t, "guest", arch)
		s.pe(t, "run", "--no-output", "--image", "busybox", "--arch", arch, "--", "uname", "-m").want(t, 0).says(t, machine)
	}
}
