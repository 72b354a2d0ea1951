package qemu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"
)

// ProbeConfig says what to try. Arch and Kernel are required.
type ProbeConfig struct {
	Arch   string
	Binary string // as in Config
	// Kernel is a stock guest kernel, as in Config. No initramfs is needed: the
	// probe is content when the kernel misses its root filesystem.
	Kernel string
	User   *Credential // as in Config
	// CacheDir keeps verdicts. Default "": none is kept.
	CacheDir string
	// FirstSign bounds the time to the kernel's first words, Deadline the whole
	// boot. Defaults 3 s and 15 s: hardware needs a tenth of it, nested
	// hardware half.
	FirstSign, Deadline time.Duration
	// Log gets the verdict in one line. Default: discarded.
	Log *slog.Logger
}

// Verdict is the accelerator that works for an architecture on this host.
type Verdict struct {
	Accel  string    `json:"accel"`  // KVM, HVF or TCG
	Reason string    `json:"reason"` // one line for the log, the facts and a doctor
	At     time.Time `json:"at"`     // when it was found
	Facts  string    `json:"facts"`  // digest of what it depends on
}

// How long verdicts are believed. Bad news is asked again sooner: hosts are
// repaired more often than they break.
const (
	goodFor = 7 * 24 * time.Hour
	badFor  = 24 * time.Hour
)

const (
	defaultFirstSign = 3 * time.Second
	defaultDeadline  = 15 * time.Second
	probeMemory      = 128 << 20
)

// Probe finds the accelerator for arch by booting a kernel with it. That
// /dev/kvm is there, opens and makes machines proves nothing: on some hosts no
// stock kernel gets through its first instructions. The fallback is TCG. An error
// means that not even QEMU itself was found, or that ctx ended.
func Probe(ctx context.Context, c ProbeConfig) (Verdict, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.FirstSign <= 0 {
		c.FirstSign = defaultFirstSign
	}
	if c.Deadline <= 0 {
		c.Deadline = defaultDeadline
	}
	var err error
	if c.Binary == "" {
		if c.Binary, err = FindBinary(c.Arch); err != nil {
			return Verdict{}, fmt.Errorf("probe accelerator: %w", err)
		}
	}
	p := prober{config: c, hostOS: runtime.GOOS, hostArch: runtime.GOARCH, device: func(path string) error { return deviceState(path, c.User) }, boot: bootsToEnd, now: time.Now}
	if c.CacheDir != "" {
		if p.facts, err = hostFacts(c); err != nil {
			return Verdict{}, fmt.Errorf("probe accelerator: %w", err)
		}
	}
	v, err := p.verdict(ctx)
	if err != nil {
		return Verdict{}, fmt.Errorf("probe accelerator: %w", err)
	}
	c.Log.Info("accelerator chosen", "arch", c.Arch, "accel", v.Accel, "reason", v.Reason)
	return v, nil
}

// prober is Probe with the host exchangeable.
type prober struct {
	config           ProbeConfig
	hostOS, hostArch string
	facts            string // "" is: don't cache
	device           func(path string) error
	boot             func(context.Context, Config, ProbeConfig) error
	now              func() time.Time
}

func (p prober) verdict(ctx context.Context) (Verdict, error) {
	if v, ok := p.cached(); ok {
		return v, nil
	}
	v := p.find(ctx)
	if err := ctx.Err(); err != nil {
		return Verdict{}, context.Cause(ctx) // what was found then means nothing
	}
	v.At, v.Facts = p.now(), p.facts
	if err := p.keep(v); err != nil {
		p.config.Log.Warn("accelerator verdict not kept", "error", err)
	}
	return v, nil
}

func (p prober) find(ctx context.Context) Verdict {
	tcg := func(format string, a ...any) Verdict {
		return Verdict{Accel: TCG, Reason: fmt.Sprintf(format, a...)}
	}
	if p.config.Arch != p.hostArch {
		return tcg("%s is emulated on a host of %s", p.config.Arch, p.hostArch)
	}
	var accel string
	switch p.hostOS {
	case "linux":
		accel = KVM
		if err := p.device("/dev/kvm"); err != nil {
			return tcg("no KVM: %v", err)
		}
	case "darwin":
		accel = HVF
	default:
		return tcg("no accelerator is known for %s", p.hostOS)
	}
	start := p.now()
	if err := p.trial(ctx, accel); err != nil {
		return tcg("%s does not boot a stock kernel: %v", accel, err)
	}
	return Verdict{Accel: accel, Reason: fmt.Sprintf("%s booted a stock kernel in %d ms", accel, p.now().Sub(start).Milliseconds())}
}

func (p prober) trial(ctx context.Context, accel string) error {
	spec, err := archOf(p.config.Arch)
	if err != nil {
		return err
	}
	return p.boot(ctx, Config{
		Arch: p.config.Arch, Binary: p.config.Binary, Accel: accel, Memory: probeMemory,
		Kernel: p.config.Kernel, Append: spec.early + " loglevel=7",
		User: p.config.User,
	}, p.config)
}

// deviceState says why QEMU, running as user, can't open a device. A trial would
// only say that it was refused; this says what to change.
func deviceState(path string, user *Credential) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	mode := info.Mode().Perm()
	_, group := groupOf(path)
	if user == nil || mode&0o006 == 0o006 || group && mode&0o060 == 0o060 {
		return nil
	}
	return fmt.Errorf("%[1]s (mode %04[2]o) can't be opened by the unprivileged user that QEMU runs as: give it a group with access (chgrp kvm %[1]s; chmod 660 %[1]s)", path, mode)
}

// noRoot is the end of every boot without an initramfs: the kernel is up.
const noRoot = "VFS: Unable to mount root fs"

// bootsToEnd boots a kernel that has no root filesystem, and returns nil if it
// came as far as missing it.
func bootsToEnd(ctx context.Context, c Config, limits ProbeConfig) error {
	deadline, cancel := context.WithTimeoutCause(ctx, limits.Deadline,
		fmt.Errorf("the kernel did not come up within %v", limits.Deadline))
	defer cancel()
	m, err := Boot(deadline, c)
	if err != nil {
		return err
	}
	defer m.Close()
	silent := time.NewTimer(limits.FirstSign)
	defer silent.Stop()
	select {
	case <-m.sign:
	case <-silent.C:
		m.kill(fmt.Errorf("the kernel said nothing for %v", limits.FirstSign))
	case <-m.Done():
	}
	<-m.Done()
	var end *ExitError
	if errors.As(m.Err(), &end) && end.Killed == nil && strings.HasPrefix(end.Panic(), noRoot) {
		return nil
	}
	return m.Err()
}
