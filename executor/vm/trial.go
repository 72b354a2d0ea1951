package vm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/host"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// Trial is what a guest said of itself when it was booted for nothing else.
type Trial struct {
	Ready guestproto.Ready `json:"ready"`
	// TookMS is the time from QEMU's start to the guest's first word.
	TookMS int64 `json:"took_ms"`
	// Facts digests all that the outcome depends on.
	Facts string `json:"facts"`
}

// backgroundPatience is how many times longer than a job's a trial in the background may boot.
const backgroundPatience = 5

// maxModel bounds the name of a processor in an offering, in bytes.
const maxModel = 256

// maxTrial bounds a kept trial, in bytes.
const maxTrial = 128 << 10

// Recall has Offering tell what kernel and processor jobs see, if an earlier trial on the
// same facts found it: it lies in Config.TrialDir, or beside the bundle, where whoever built
// it tried it.
func (r *Runner) Recall() bool {
	facts, err := r.trialFacts()
	if err != nil {
		return false
	}
	for _, dir := range []string{r.cfg.TrialDir, r.cfg.Bundle.dir} {
		if t, err := readTrial(dir, facts); err == nil {
			r.tried.Store(&t)
			return true
		}
	}
	return false
}

// Try boots the runner's guest once, without an image, for what Recall looks for, and keeps
// it in Config.TrialDir. In the background it takes what jobs leave of the processors, and
// has more time for it.
func (r *Runner) Try(ctx context.Context, background bool) (Trial, error) {
	facts, err := r.trialFacts()
	if err != nil {
		return Trial{}, fmt.Errorf("try guest: %w", err)
	}
	t, err := r.boots(ctx, background)
	if err != nil {
		return Trial{}, fmt.Errorf("try guest with kernel %s: %w", r.cfg.Bundle.KernelRelease, err)
	}
	t.Facts = facts
	r.tried.Store(&t)
	if r.cfg.TrialDir != "" {
		if err := keepTrial(r.cfg.TrialDir, t); err != nil {
			r.cfg.Log.Warn("what a trial of a guest found is not kept", "error", err)
		}
	}
	return t, nil
}

// boots starts the smallest machine, and ends it at the guest's first word.
func (r *Runner) boots(ctx context.Context, background bool) (t Trial, err error) {
	d, err := newDisks(r.cfg.RunDir, 0)
	if err != nil {
		return t, err
	}
	defer d.close()
	started := time.Now()
	o := order{name: "trial-" + unique(), shape: executor.Shape{CPUs: 1}, disks: d, background: background}
	patience := r.cfg.BootTimeout
	if background {
		patience *= backgroundPatience
	}
	g, err := r.host.power(ctx, r.describe(o), qemu.Boot)
	if err != nil {
		return t, err
	}
	if g.session, t.Ready, err = session.Open(ctx, g.qemu.Channel(), session.Options{Ready: patience}); err != nil {
		return t, g.fail(fmt.Errorf("wait for the guest: %w", err))
	}
	t.TookMS = time.Since(started).Milliseconds()
	if t.Ready.Arch != r.cfg.Bundle.Arch || t.Ready.Kernel != r.cfg.Bundle.KernelRelease {
		err = fmt.Errorf("its kernel is %q for %s, by its manifest %q for %s", t.Ready.Kernel, t.Ready.Arch, r.cfg.Bundle.KernelRelease, r.cfg.Bundle.Arch)
	}
	return t, errors.Join(err, g.close())
}

// trialFacts digests what a trial's outcome depends on.
func (r *Runner) trialFacts() (string, error) {
	program := r.qemuFile
	if program.SHA256 == "" {
		path, err := r.cfg.Binary, error(nil)
		if path == "" {
			path, err = qemu.FindBinary(r.cfg.Bundle.Arch)
		}
		if err == nil {
			program, err = digestOf(path)
		}
		if err != nil {
			return "", err
		}
	}
	h := sha256.New()
	fmt.Fprintf(h, "protocol=%d\nqemu=%s\nkernel=%s\ninitramfs=%s\naccel=%s\ncpu=%s\n", guestproto.Version,
		program.SHA256, r.cfg.Bundle.KernelSHA256, r.cfg.Bundle.InitramfsSHA256, r.cfg.Accel, r.cfg.CPUModel)
	if r.cfg.Accel != qemu.TCG {
		// The guest sees the host's own processor, as far as the host's kernel shows it.
		fmt.Fprintf(h, "host=%s\nhost kernel=%s\n", r.cfg.HostCPU, host.KernelRelease())
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// trialFile is where a trial on these facts is kept.
func trialFile(dir, facts string) string {
	return filepath.Join(dir, "trial-"+facts[:16]+".json")
}

func readTrial(dir, facts string) (t Trial, err error) {
	if dir == "" {
		return t, os.ErrNotExist
	}
	f, err := os.Open(trialFile(dir, facts))
	if err != nil {
		return t, err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxTrial)).Decode(&t); err != nil {
		return t, err
	}
	if t.Facts != facts {
		return t, os.ErrNotExist
	}
	return t, t.Ready.Validate()
}

func keepTrial(dir string, t Trial) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".trial-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(text, '\n'))
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), trialFile(dir, t.Facts))
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// Offering implements executor.Runner. What jobs see is known once Try has found it.
func (r *Runner) Offering() schemas.Offering {
	o := schemas.Offering{
		Arch:        r.cfg.Bundle.Arch,
		Isolation:   schemas.IsolationVM,
		Accel:       r.cfg.Accel,
		AccelReason: r.cfg.AccelReason,
		Kernel:      r.cfg.Bundle.KernelRelease,
		CPUModel:    r.cfg.CPUModel,
	}
	if t := r.tried.Load(); t != nil {
		o.CPUModel, o.Features = t.Ready.CPUModel[:min(len(t.Ready.CPUModel), maxModel)], t.Ready.Features
	}
	return o
}
