package qemu

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// host is a recorded one: what is there, and how a boot with it went.
type host struct {
	os, arch string
	device   error // of /dev/kvm
	boot     error
	want     string // accelerator
	reason   string
	boots    int
}

func (h host) prober(c ProbeConfig, boots *[]string) prober {
	return prober{
		config: c, hostOS: h.os, hostArch: h.arch, now: time.Now,
		device: func(string) error { return h.device },
		boot: func(_ context.Context, c Config, _ ProbeConfig) error {
			*boots = append(*boots, c.Accel)
			return h.boot
		},
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	none := &fs.PathError{Op: "stat", Path: "/dev/kvm", Err: fs.ErrNotExist}
	for name, h := range map[string]host{
		"no kvm":        {"linux", "amd64", none, nil, TCG, "no KVM: stat /dev/kvm: file does not exist", 0},
		"kvm hangs":     {"linux", "amd64", nil, errors.New("the kernel said nothing for 3s"), TCG, "kvm does not boot a stock kernel: the kernel said nothing", 1},
		"kvm refused":   {"linux", "amd64", nil, errors.New("Could not access KVM kernel module: Permission denied"), TCG, "Permission denied", 1},
		"kvm boots":     {"linux", "amd64", nil, nil, KVM, "kvm booted a stock kernel", 1},
		"foreign guest": {"linux", "arm64", nil, nil, TCG, "amd64 is emulated on a host of arm64", 0},
		"macos foreign": {"darwin", "arm64", none, nil, TCG, "emulated", 0},
		"macos":         {"darwin", "amd64", none, nil, HVF, "hvf booted a stock kernel", 1},
		"macos no hvf":  {"darwin", "amd64", none, errors.New("HV_UNSUPPORTED"), TCG, "HV_UNSUPPORTED", 1},
		"another":       {"freebsd", "amd64", none, nil, TCG, "no accelerator is known for freebsd", 0},
	} {
		var boots []string
		v, err := h.prober(ProbeConfig{Arch: "amd64"}, &boots).verdict(t.Context())
		if err != nil || v.Accel != h.want || !strings.Contains(v.Reason, h.reason) || len(boots) != h.boots {
			t.Errorf("%s: got %s (%s), %v, after boots %v; want %s (%s) after %d", name, v.Accel, v.Reason, err, boots, h.want, h.reason, h.boots)
		}
	}
}

func TestVerdictIsKept(t *testing.T) {
	t.Parallel()
	c := ProbeConfig{Arch: "amd64", CacheDir: filepath.Join(t.TempDir(), "new", "folder")}
	now := time.Now()
	ask := func(h host, facts string, later time.Duration) (Verdict, int) {
		t.Helper()
		var boots []string
		p := h.prober(c, &boots)
		p.facts, p.now = facts, func() time.Time { return now.Add(later) }
		v, err := p.verdict(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return v, len(boots)
	}
	works := host{os: "linux", arch: "amd64"}
	hangs := host{os: "linux", arch: "amd64", boot: errors.New("hangs")}
	for i, step := range []struct {
		host  host
		facts string
		later time.Duration
		accel string
		boots int
	}{
		{hangs, "one", 0, TCG, 1},
		{works, "one", time.Hour, TCG, 0},          // believed
		{works, "two", time.Hour, KVM, 1},          // another host's state
		{hangs, "two", badFor + time.Hour, KVM, 0}, // good news lasts longer
		{hangs, "two", goodFor + 2*time.Hour, TCG, 1},
		{works, "two", goodFor + badFor + 3*time.Hour, KVM, 1}, // expired
		{hangs, "two", 0, TCG, 1},                              // a clock that went back
	} {
		if v, boots := ask(step.host, step.facts, step.later); v.Accel != step.accel || boots != step.boots {
			t.Errorf("step %d: %s after %d boots, want %s after %d", i, v.Accel, boots, step.accel, step.boots)
		}
	}
	for _, junk := range []string{"", "{", `{"accel":"xen","facts":"two"}`} {
		if err := os.WriteFile(filepath.Join(c.CacheDir, "accel-amd64.json"), []byte(junk), 0o600); err != nil {
			t.Fatal(err)
		}
		if v, boots := ask(works, "two", 0); v.Accel != KVM || boots != 1 {
			t.Errorf("cache of %q: %s after %d boots", junk, v.Accel, boots)
		}
	}
}

func TestVerdictOfEndedContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := ProbeConfig{Arch: "amd64", CacheDir: t.TempDir()}
	p := host{os: "linux", arch: "amd64"}.prober(c, new([]string))
	p.facts = "facts"
	p.boot = func(context.Context, Config, ProbeConfig) error { cancel(); return context.Canceled }
	if v, err := p.verdict(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v", v, err)
	}
	if left, _ := os.ReadDir(c.CacheDir); len(left) > 0 {
		t.Error("an interrupted probe was kept")
	}
}

// TestTrialBoot shows that the trial tells a working accelerator from a broken
// one: TCG works everywhere, and a kernel that is told to say nothing is broken.
func TestTrialBoot(t *testing.T) {
	t.Parallel()
	g := needGuest(t)
	c := Config{Arch: "amd64", Accel: TCG, Memory: probeMemory, Kernel: g.kernel, Append: "earlyprintk=ttyS0 loglevel=7"}
	limits := ProbeConfig{FirstSign: readyWait, Deadline: readyWait}
	if err := bootsToEnd(t.Context(), c, limits); err != nil {
		t.Errorf("a good boot: %v", err)
	}
	c.Append = "console=none loglevel=0"
	limits.FirstSign = 100 * time.Millisecond
	if err := bootsToEnd(t.Context(), c, limits); err == nil || !strings.Contains(err.Error(), "said nothing") {
		t.Errorf("a silent boot: %v", err)
	}
	c.Append = "earlyprintk=ttyS0 loglevel=7"
	limits = ProbeConfig{FirstSign: readyWait, Deadline: 300 * time.Millisecond}
	if err := bootsToEnd(t.Context(), c, limits); err == nil || !strings.Contains(err.Error(), "did not come up") {
		t.Errorf("a slow boot: %v", err)
	}
}

// TestFindHost probes this host, whatever it has.
func TestFindHost(t *testing.T) {
	t.Parallel()
	g := needGuest(t)
	h, err := FindHost(t.Context(), ProbeConfig{Arch: "amd64", Kernel: g.kernel, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if h.Verdict.Reason == "" || h.Version == "" || len(h.Digest) != 64 || h.CPU == "" {
		t.Errorf("got %+v", h)
	}
	t.Logf("%+v", h)
}
