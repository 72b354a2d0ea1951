package qemu

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// firstFD is the first descriptor after stdin, stdout and stderr.
const firstFD = 3

// A role says what an inherited descriptor is for.
type role string

const (
	roleQMP       role = "qmp"
	roleChannel   role = "channel"
	roleConsole   role = "console"
	roleKernel    role = "kernel"
	roleInitramfs role = "initramfs"
	roleDisk      role = "disk"
	roleRAM       role = "ram"
	roleState     role = "state" // the last one, so that no other number depends on it
)

// FDUse is a descriptor that QEMU must inherit under the number FD.
type FDUse struct {
	FD   int
	Role role
	Disk int // index into Config.Disks, for a disk
}

// commandLine is the kernel's, for every architecture. A panic ends the machine
// (with -no-reboot). cryptomgr.notests saves 0.23 of 1.70 s of a boot on amd64
// under emulation, in CPU time to the guest's first byte, median of 5 beside each
// other. Tried beside it and not worth a word: no_timer_check, lpj=, nokaslr,
// leaving out quiet, virtio-rng or half of the memory (all within 0.05 s).
const commandLine = "quiet panic=-1 cryptomgr.notests"

// emulated is added under emulation. QEMU 7.2 finds its translations by a guest's virtual address, so
// that a program whose address is random is translated anew at each of its starts, with its libraries:
// `gcc --version` takes 38 ms instead of 10. Randomness of addresses would protect a job from its own
// inputs and nobody else from the job: it is alone in its machine, and may gain no privileges.
//
// What the kernel does not know it gives to process 1 as environment: there Go's runtime need not interrupt
// what runs for 10 ms, which all code does in a machine that was just restored. The interruptions
// are code to be translated too: 6 of the 47 ms of processor time to the first reply.
const emulated = "norandmaps GODEBUG=asyncpreemptoff=1"

// sandbox is QEMU's own seccomp filter; it costs nothing that can be measured.
const sandbox = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

// tcgBuffer bounds the translated code of one machine, in MiB. QEMU's default is
// up to 1 GiB for each, all of which a long job would fill.
const tcgBuffer = 128

// Args returns QEMU's arguments for a machine, and the descriptors that they
// count on. It opens nothing and starts nothing.
func Args(c Config) ([]string, []FDUse, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, nil, fmt.Errorf("describe machine: %w", err)
	}
	spec, err := archOf(c.Arch)
	if err != nil {
		return nil, nil, err
	}
	a := argList{spec: spec, hostOS: c.hostOS}
	a.base(c)
	// The files of a boot cost a restored machine 5 to 32 ms, for nothing.
	if c.template == nil {
		a.boot(c)
	}
	a.channels()
	for i, d := range c.Disks {
		a.disk(i, d)
	}
	if c.template != nil {
		a.fd(roleState, 0)
		a.add("-incoming", "defer")
	}
	return a.args, a.fds, nil
}

type argList struct {
	spec   archSpec
	hostOS string
	args   []string
	fds    []FDUse
}

func (a *argList) add(args ...string) { a.args = append(a.args, args...) }

func (a *argList) fd(r role, disk int) int {
	n := firstFD + len(a.fds)
	a.fds = append(a.fds, FDUse{FD: n, Role: r, Disk: disk})
	return n
}

// base is the machine without anything in it.
func (a *argList) base(c Config) {
	a.add("-name", processName(c.Instance)+",process=pe-vm,debug-threads=on")
	if a.hostOS == "linux" {
		a.add("-sandbox", sandbox)
	}
	a.add("-nodefaults", "-no-user-config", "-nographic", "-no-reboot")
	accel := c.Accel
	if accel == TCG {
		accel = fmt.Sprintf("tcg,thread=multi,tb-size=%d", tcgBuffer)
	}
	a.add("-M", a.spec.machineOption(c.Accel)+a.memory(c), "-accel", accel, "-cpu", c.CPUModel,
		"-smp", strconv.Itoa(c.CPUs), "-m", fmt.Sprintf("%dM", c.Memory>>20))
}

// memory puts the guest's RAM into a file where there is one: shared with the
// machine's own file, private to the machine with its template's. Not with
// readonly=on: in QEMU 7.2 that is the guest's own memory made read-only.
func (a *argList) memory(c Config) string {
	share := "on"
	switch {
	case c.RAM != nil:
	case c.template != nil:
		share = "off"
	default:
		return ""
	}
	a.add("-object", fmt.Sprintf("memory-backend-file,id=mem,size=%dM,mem-path=%s,share=%s",
		c.Memory>>20, fdPath(a.hostOS, a.fd(roleRAM, 0)), share))
	return ",memory-backend=mem"
}

// boot names files by descriptor: QEMU's user may have no right to their paths.
// It opens them anew, so the files' own modes must let it read them.
func (a *argList) boot(c Config) {
	a.add("-kernel", fdPath(a.hostOS, a.fd(roleKernel, 0)))
	if c.Initramfs != "" {
		a.add("-initrd", fdPath(a.hostOS, a.fd(roleInitramfs, 0)))
	}
	line := []string{"console=" + a.spec.console, commandLine, a.spec.append}
	if c.Accel == TCG {
		line = append(line, emulated)
	}
	if c.CounterKHz > 0 {
		line = append(line, fmt.Sprintf("tsc_early_khz=%d tsc=reliable", c.CounterKHz))
	}
	line = append(line, c.Append)
	a.add("-append", strings.Join(strings.Fields(strings.Join(line, " ")), " "))
}

// fdPath names an open descriptor of the process itself.
func fdPath(hostOS string, fd int) string {
	if hostOS == "linux" {
		return fmt.Sprintf("/proc/self/fd/%d", fd)
	}
	return fmt.Sprintf("/dev/fd/%d", fd)
}

// channels are QMP, the console and the job channel, each an inherited socket:
// no paths, nothing to poll for, nobody else who could connect.
func (a *argList) channels() {
	socket := func(id string, r role) {
		a.add("-chardev", fmt.Sprintf("socket,id=%s,fd=%d", id, a.fd(r, 0)))
	}
	socket("qmp", roleQMP)
	a.add("-mon", "chardev=qmp,mode=control")
	socket("console", roleConsole)
	a.add("-serial", "chardev:console")
	socket("job", roleChannel)
	a.add("-device", "virtio-serial-"+a.spec.bus, "-device", "virtserialport,chardev=job,name=pe.job")
	// The guest's kernel has no other source of randomness at its start.
	a.add("-object", "rng-builtin,id=rng", "-device", "virtio-rng-"+a.spec.bus+",rng=rng")
}

// disk passes the descriptor in a set, in which QEMU finds the one with the
// access mode that it wants: a read-only one is never reopened for writing.
func (a *argList) disk(i int, d Disk) {
	fd := a.fd(roleDisk, i)
	a.add("-add-fd", fmt.Sprintf("fd=%d,set=%d", fd, fd))
	mode := "read-only=on"
	if !d.ReadOnly {
		// The file dies with the machine: flushing it to the host's disk
		// would protect it from nothing.
		mode = "cache.no-flush=on,discard=unmap"
	}
	a.add("-blockdev", fmt.Sprintf("driver=raw,node-name=%s,%s,file.driver=file,file.locking=off,file.filename=/dev/fdset/%d",
		nodeName(d.Name), mode, fd))
	a.add("-device", fmt.Sprintf("virtio-blk-%s,drive=%s,serial=%s", a.spec.bus, nodeName(d.Name), d.Name))
}

func processName(instance string) string { return "pe-" + instance }

func nodeName(disk string) string { return "disk-" + disk }

// Recipe returns all of a baked machine's arguments that shape its state, the same
// for each machine of the kind: with the kernel's command line and the guest's
// clock rate, without instance, user and files. What the files hold (kernel, initramfs,
// disks, QEMU itself) shapes it too, and is for the caller to add.
func Recipe(c Config) ([]string, error) {
	c.Instance, c.template, c.RAM = "any", nil, os.Stdin
	args, _, err := Args(c)
	return args, err
}
