package doctor

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/schemas"
)

// versionTimeout bounds asking QEMU for its version.
const versionTimeout = 10 * time.Second

// Boot finds the accelerator by booting, without believing an earlier verdict.
func Boot(ctx context.Context, arch, kernel string) (accel, reason string, err error) {
	v, err := qemu.Probe(ctx, qemu.ProbeConfig{Arch: arch, Kernel: kernel, User: qemu.SlotUser(0)})
	return v.Accel, v.Reason, err
}

// machine checks all that machines of one architecture need; bad is how much a
// lack matters.
func (c Config) machine(ctx context.Context, arch string, bad Status) []Check {
	emulator := c.qemu(ctx, arch, bad)
	guest, kernel := c.guest(arch, bad)
	checks := []Check{emulator, guest}
	if c.Prove != nil && emulator.Status == OK && guest.Status == OK {
		checks = append(checks, c.accelerator(ctx, arch, kernel, bad))
	}
	return checks
}

func (c Config) qemu(ctx context.Context, arch string, bad Status) Check {
	check := Check{Name: "qemu " + arch, Status: OK}
	path, err := qemu.FindBinary(arch)
	if err != nil {
		check.Status, check.Detail = bad, err.Error()
		check.Fix = "deploy/setup.sh --for run (this machine's own) or --for up (all), or install QEMU's package"
		return check
	}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		check.Status, check.Detail, check.Fix = bad, fmt.Sprintf("%s --version: %v", path, err), "install QEMU again"
		return check
	}
	line, _, _ := strings.Cut(string(out), "\n")
	check.Detail = path + ": " + strings.TrimPrefix(line, "QEMU emulator ")
	return check
}

// guest looks at the newest one, and returns its kernel's path.
func (c Config) guest(arch string, bad Status) (check Check, kernel string) {
	check = Check{Name: "guest " + arch, Status: OK}
	bundle, err := vm.LoadBundle(c.GuestDir, arch)
	if err != nil {
		check.Status, check.Detail = bad, err.Error()
		check.Fix = "deploy/setup.sh --for run (this machine's own) or --for up (all), then --guest-dir .cache/guest"
		return check, ""
	}
	check.Detail = "kernel " + bundle.KernelRelease + ", guestrd " + bundle.GuestVersion
	return check, bundle.Kernel()
}

// accelerator boots: /dev/kvm may be there and open, and yet no kernel starts.
func (c Config) accelerator(ctx context.Context, arch, kernel string, bad Status) Check {
	check := Check{Name: "boot " + arch, Status: OK}
	accel, reason, err := c.Prove(ctx, arch, kernel)
	if err != nil {
		check.Status, check.Detail = bad, err.Error()
		check.Fix = "the error says why; is the guest's kernel readable for QEMU's own user, and memory free?"
		return check
	}
	check.Detail = accel + ": " + reason
	if accel == qemu.TCG && arch == runtime.GOARCH {
		check.Status, check.Fix = Warn, "jobs run all the same, emulated, at about 13 times the CPU; a host with usable KVM is faster"
	}
	return check
}

// contained tries the ways to run jobs that are not virtual machines. Jobs need neither.
func (c Config) contained(ctx context.Context) (checks []Check) {
	if c.Try == nil {
		return nil
	}
	for _, isolation := range []string{schemas.IsolationGVisor, schemas.IsolationContainer} {
		check := Check{Name: isolation, Status: OK}
		works, reason, err := c.Try(ctx, isolation)
		if check.Detail = reason; err != nil {
			check.Detail = err.Error()
		}
		if err != nil || !works {
			check.Status = Warn
			check.Fix = "not offered until that is mended; deploy/setup.sh --for up installs runsc and runc"
		}
		checks = append(checks, check)
	}
	return checks
}
