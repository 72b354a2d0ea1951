package vminit

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/guestrd/serve"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// openFiles is the most that any process may open.
const openFiles = 1 << 16

// Run is the life of process 1. It never returns: the machine powers off at its end.
// Nothing needs reaping besides the children that package job waits for: whatever a job
// leaves behind ends with its own PID namespace.
func Run(version string) {
	if err := live(version); err != nil {
		console("guestrd: " + err.Error())
	}
	powerOff()
}

// live serves the host. What goes wrong is told to it as far as there is a channel.
func live(version string) error {
	ready, err := start(version)
	if err != nil {
		return errors.Join(err, complain(err))
	}
	channel, err := openChannel(patience)
	if err != nil {
		return err
	}
	return serve.Serve(channel, newMachine(), ready)
}

// complain tells the host why the machine does not come up.
func complain(why error) error {
	channel, err := openChannel(0)
	if err != nil {
		return err
	}
	defer channel.Close()
	message := why.Error()
	return guestproto.NewWriter(channel).Send(0, &guestproto.Fault{Code: guestproto.FaultSetup, Message: message[:min(len(message), 1<<10)]})
}

// start sets the machine up.
func start(version string) (*guestproto.Ready, error) {
	if err := setUp(); err != nil {
		return nil, err
	}
	// Jobs inherit what this process may have; the kernel's default is 4096.
	files := unix.Rlimit{Cur: openFiles, Max: openFiles}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return nil, fmt.Errorf("raise limit of open files: %w", err)
	}
	if err := loadModules(); err != nil {
		return nil, err
	}
	return describe(version)
}

// describe fills the first message to the host.
func describe(version string) (*guestproto.Ready, error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return nil, fmt.Errorf("read kernel's name: %w", err)
	}
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return nil, fmt.Errorf("read uptime: %w", err)
	}
	model, features := describeProcessor()
	return &guestproto.Ready{
		Protocol: guestproto.Version,
		Arch:     runtime.GOARCH,
		Kernel:   unix.ByteSliceToString(uts.Release[:]),
		CPUModel: model,
		Features: features,
		Guest:    version,
		Enforces: []string{
			guestproto.LimitCPU, guestproto.LimitLog, guestproto.LimitMemory, guestproto.LimitOutput,
			guestproto.LimitPIDs, guestproto.LimitScratch, guestproto.LimitWall,
		},
		BootUS: up.Nano() / int64(time.Microsecond),
	}, nil
}

// console prints one line where the host's log of the machine can see it.
func console(line string) {
	if f, err := os.OpenFile("/dev/console", os.O_WRONLY, 0); err == nil {
		fmt.Fprintln(f, line)
		f.Close()
		return
	}
	fmt.Fprintln(os.Stderr, line)
}

// powerOff ends the machine. A kernel without a way to do so is rebooted or halted, which
// the host takes for the end all the same.
func powerOff() {
	for _, how := range []int{unix.LINUX_REBOOT_CMD_POWER_OFF, unix.LINUX_REBOOT_CMD_RESTART, unix.LINUX_REBOOT_CMD_HALT} {
		unix.Reboot(how)
	}
	select {}
}
