package qemu

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// archSpec is all that differs between architectures.
type archSpec struct {
	arch     string
	binary   string            // QEMU's name
	machine  string            // -M
	accelOps map[string]string // more of -M, by accelerator
	tcgCPU   string            // the model that is cheapest to emulate
	bus      string            // suffix of virtio devices
	console  string            // the kernel's name of the serial port
	append   string            // more of the kernel's command line
	counter  bool              // under TCG its clock is the host CPU's counter
	early    string            // kernel's first words on the console, for the probe
}

var archs = [...]archSpec{
	{
		arch: "amd64", binary: "qemu-system-x86_64",
		// With ACPI: Debian's kernels find microvm's devices by nothing else (no
		// CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES). It leaves the guest without a timer
		// interrupt but the local APIC's: see clock.go for what that asks for.
		machine: "microvm,acpi=on,x-option-roms=off,isa-serial=on",
		accelOps: map[string]string{
			// Under emulation there is no kvm-clock: the kernel calibrates its
			// timers against these three, and hangs without them.
			TCG: "pit=on,pic=on,rtc=on",
			KVM: "pit=off,pic=off,rtc=on",
		},
		tcgCPU: "qemu64", bus: "device", console: "ttyS0",
		append: "reboot=t 8250.nr_uarts=1", early: "earlyprintk=ttyS0", counter: true,
	},
	{
		arch: "arm64", binary: "qemu-system-aarch64", machine: "virt,gic-version=max",
		accelOps: map[string]string{HVF: "highmem=on"},
		tcgCPU:   "cortex-a72", bus: "pci", console: "ttyAMA0", early: "earlycon",
	},
	{
		arch: "riscv64", binary: "qemu-system-riscv64", machine: "virt",
		tcgCPU: "rv64", bus: "pci", console: "ttyS0", early: "earlycon=sbi",
	},
}

func archOf(name string) (archSpec, error) {
	i := slices.IndexFunc(archs[:], func(a archSpec) bool { return a.arch == name })
	if i < 0 {
		return archSpec{}, fmt.Errorf("unknown architecture %q", name)
	}
	return archs[i], nil
}

// FindBinary returns the path of the QEMU in PATH that emulates arch.
func FindBinary(arch string) (string, error) {
	spec, err := archOf(arch)
	if err != nil {
		return "", err
	}
	path, err := exec.LookPath(spec.binary)
	if err != nil {
		return "", fmt.Errorf("find QEMU for %s: %w", arch, err)
	}
	return path, nil
}

func (a archSpec) cpu(accel string) string {
	if accel == TCG {
		return a.tcgCPU
	}
	return "host"
}

func (a archSpec) machineOption(accel string) string {
	return strings.TrimSuffix(a.machine+","+a.accelOps[accel], ",")
}
