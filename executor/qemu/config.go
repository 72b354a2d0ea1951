package qemu

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"runtime"
)

// Accelerators.
const (
	KVM = "kvm" // Linux's, for guests of the host's own architecture
	HVF = "hvf" // macOS's, likewise
	TCG = "tcg" // QEMU's emulation: everywhere, any architecture, 13 times the CPU
)

// Config describes one machine. Arch, Kernel and Memory are required.
type Config struct {
	// Instance names the machine in its process's arguments and in RunDir.
	// Up to 40 of a-z, 0-9 and '-'. Default: made up, unique.
	Instance string
	// Arch is amd64, arm64 or riscv64.
	Arch string
	// Binary is QEMU's path. Default: the one in PATH for Arch.
	Binary string
	// Accel is KVM, HVF or TCG. Default TCG; Probe says which one works.
	Accel string
	// CPUModel is QEMU's -cpu. Default: the architecture's cheapest model
	// under TCG, the host's own CPU otherwise. "max" has every feature that can
	// be emulated, and boots 0.2 s (amd64) to 7 s (arm64) slower.
	CPUModel string
	// CPUs is the number of virtual CPUs. Default 1.
	CPUs int
	// Memory is the guest's RAM in bytes, whole MiB, at least 64 MiB.
	Memory int64

	// Kernel is the path of a kernel in the form that vmlinux.ForQEMU makes.
	// User must be able to read it, and Initramfs, by their own modes. A restored
	// machine has its kernel in its memory: there all three of these are ignored.
	Kernel string
	// Initramfs is the path of a cpio archive. Default: none.
	Initramfs string
	// Append is added to the kernel's command line.
	Append string
	// Disks are virtio-blk drives. A guest tells them apart by Name: the order
	// in which its kernel finds them differs between machines.
	Disks []Disk

	// RAM, if set, holds the guest's memory while it runs, so that Bake can leave
	// it there. User must be able to write it by its own mode. For Boot it holds
	// nothing, and is made Memory bytes long; for Restore it is a copy of the
	// template's memory. The caller owns and closes it. Default nil: memory that
	// ends with the machine.
	RAM *os.File
	// CounterKHz is the rate of the host CPU's counter, which an emulated amd64
	// guest is told at its boot and keeps for good: a snapshot is good only where
	// it is right. Default: measured, which gives a slightly other value each
	// time (see CounterKHz), so who wants the same machine twice sets it.
	CounterKHz int64

	// User is whom QEMU runs as. Default nil: ourselves. Needs root.
	User *Credential
	// Cgroups bounds the QEMU process from outside. Default nil: not bounded.
	Cgroups *Cgroups
	// Background starts the machine with a tenth of another's CPU share, in its own
	// cgroup where Cgroups is set, else by niceness where we may raise that again (with
	// CAP_SYS_NICE on Linux; elsewhere it has no effect), until Foreground. For machines
	// that are made ready while jobs run.
	Background bool
	// RunDir holds one file for each running machine, for Sweep. Default "":
	// none is written.
	RunDir string
	// ConsoleLimit is how many bytes of the console's end are kept, and as
	// many of QEMU's messages. Default 64 KiB.
	ConsoleLimit int
	// Log receives the machine's start and end. Default: discarded.
	Log *slog.Logger

	hostOS   string    // runtime.GOOS, but for tests of other systems' arguments
	template *Template // set by Restore
}

// Disk is a drive of a machine. Exactly one of File and Path is set.
type Disk struct {
	// Name is the virtio serial by which the guest finds the drive: 1 to 20
	// of a-z, 0-9 and '-', unique in its machine.
	Name string
	// File is an open file. Boot hands a duplicate to QEMU; the caller
	// still owns and closes File.
	File *os.File
	// Path is opened by Boot, as ourselves, and must exist.
	Path string
	// ReadOnly drives can't be resized. QEMU then gets a read-only descriptor,
	// whatever mode File has.
	ReadOnly bool
	// Size, if over 0, is what Boot sets the file's size to, in bytes, a multiple
	// of 512. Not for ReadOnly. Default: as the file is.
	Size int64
}

// Credential is an unprivileged user of the host. Supplementary groups are
// always dropped, but for /dev/kvm's where KVM needs it.
type Credential struct{ UID, GID uint32 }

// UserBase is the first of the ids that SlotUser gives out. It lies in a range
// that neither distributions, systemd nor subordinate ids use.
const UserBase = 1_900_000_000

// SlotUser is the user that slot n (from 0) of an executor runs its machines
// as: one each, so that a QEMU that broke out can't touch its neighbours. It is
// nil, ourselves, where we are not root and so can't change users.
func SlotUser(n int) *Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	id := uint32(UserBase + n)
	return &Credential{UID: id, GID: id}
}

const (
	minMemory      = 64 << 20
	defaultConsole = 64 << 10
	sector         = 512
	maxCPUs        = 64
	maxDisks       = 16
)

// Names reach QEMU's option parser, in which a comma begins another option.
var (
	namePattern  = regexp.MustCompile(`^[a-z0-9-]{1,20}$`)
	instPattern  = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	modelPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.+=,-]{0,200}$`)
)

// withDefaults returns c completed, or all that is wrong with it.
func (c Config) withDefaults() (Config, error) {
	if c.hostOS == "" {
		c.hostOS = runtime.GOOS
	}
	if c.Accel == "" {
		c.Accel = TCG
	}
	if c.CPUs == 0 {
		c.CPUs = 1
	}
	if c.ConsoleLimit <= 0 {
		c.ConsoleLimit = defaultConsole
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Instance == "" {
		c.Instance = newInstance()
	}
	spec, err := archOf(c.Arch)
	if err != nil {
		return c, err
	}
	if !spec.counter || c.Accel != TCG {
		c.CounterKHz = 0
	} else if c.CounterKHz <= 0 {
		c.CounterKHz = CounterKHz()
	}
	if c.CPUModel == "" {
		c.CPUModel = spec.cpu(c.Accel)
	}
	if c.Binary == "" {
		if c.Binary, err = FindBinary(c.Arch); err != nil {
			return c, err
		}
	}
	return c, errors.Join(c.checkMachine(), c.checkDisks())
}

func (c Config) checkMachine() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if !instPattern.MatchString(c.Instance) {
		bad("instance %q is not 1 to 40 of a-z, 0-9 and '-'", c.Instance)
	}
	switch c.Accel {
	case KVM, HVF, TCG:
	default:
		bad("unknown accelerator %q", c.Accel)
	}
	if !modelPattern.MatchString(c.CPUModel) {
		bad("cpu model %q has characters that no model has", c.CPUModel)
	}
	if c.CPUs < 1 || c.CPUs > maxCPUs {
		bad("%d cpus, want 1 to %d", c.CPUs, maxCPUs)
	}
	if c.Memory < minMemory || c.Memory%(1<<20) != 0 {
		bad("memory of %d bytes, want whole MiB and at least %d", c.Memory, minMemory)
	}
	if c.Kernel == "" && c.template == nil {
		bad("no kernel")
	}
	if c.User != nil && (c.User.UID == 0 || c.User.GID == 0) {
		bad("user %d:%d is privileged", c.User.UID, c.User.GID)
	}
	return errors.Join(errs...)
}

func (c Config) checkDisks() error {
	var errs []error
	bad := func(name, format string, a ...any) {
		errs = append(errs, fmt.Errorf("disk %q: %w", name, fmt.Errorf(format, a...)))
	}
	if len(c.Disks) > maxDisks {
		bad("", "%d disks, want at most %d", len(c.Disks), maxDisks)
	}
	seen := map[string]bool{}
	for _, d := range c.Disks {
		switch {
		case !namePattern.MatchString(d.Name):
			bad(d.Name, "name is not 1 to 20 of a-z, 0-9 and '-'")
		case seen[d.Name]:
			bad(d.Name, "name is used twice")
		case (d.File == nil) == (d.Path == ""):
			bad(d.Name, "want one of file and path")
		case d.Size < 0 || d.Size%sector != 0:
			bad(d.Name, "size %d is not a multiple of %d", d.Size, sector)
		case d.Size > 0 && d.ReadOnly:
			bad(d.Name, "a read-only disk has its file's size")
		}
		seen[d.Name] = true
	}
	return errors.Join(errs...)
}
