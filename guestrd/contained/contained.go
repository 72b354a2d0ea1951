// Package contained is guestrd as process 1 of a gVisor sandbox or a container: a machine whose
// root, namespaces, names and cgroups the host has made, and that runs one job.
//
// Its place in a job's life: that of package vminit in a virtual machine. It must not know who
// carries the frames, nor what the host's cgroups are: it has no privilege over any of the host's.
package contained

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/guestrd/job"
	"github.com/program-explorer/pe/guestrd/sandbox"
	"github.com/program-explorer/pe/guestrd/serve"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// Arguments of guestrd.
const (
	// Arg is the first.
	Arg = "contained"
	// GVisorArg is the second in a gVisor sandbox: its kernel is then the sandbox's own, over which
	// process 1 has privileges that cost the host nothing.
	GVisorArg = "gvisor"
)

// threads are made ahead: the job may use up all processes of the machine's cgroup, and Go dies if
// it can't have a thread.
const threads = 16

// Main serves the host over stdin and stdout and returns the exit code.
func Main(version string, arguments []string) int {
	// Process 1 is immune to its namespace's signals as long as it handles them.
	signal.Notify(make(chan os.Signal, 1))
	m := &machine{}
	ready, err := m.start(version, slices.Contains(arguments, GVisorArg))
	stream := struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stdout}
	if err != nil {
		text := err.Error()
		_ = guestproto.NewWriter(stream).Send(0, &guestproto.Fault{Code: guestproto.FaultSetup, Message: text[:min(len(text), 1<<10)]})
		return 1
	}
	if err := serve.Serve(stream, m, ready); err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, "guestrd:", err)
		return 1
	}
	return 0
}

// machine acts on the host's messages.
type machine struct{ inside job.Inside }

func (m *machine) start(version string, gvisor bool) (*guestproto.Ready, error) {
	if os.Getpid() != 1 {
		return nil, errors.New("not process 1 of a PID namespace of its own")
	}
	enforces := []string{guestproto.LimitLog, guestproto.LimitOutput, guestproto.LimitWall}
	if gvisor {
		if err := m.own(); err != nil {
			return nil, err
		}
		enforces = append(enforces, guestproto.LimitPIDs)
	} else {
		growThreads()
		m.inside.Volunteer = volunteer()
	}
	slices.Sort(enforces)
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return nil, fmt.Errorf("read kernel's name: %w", err)
	}
	return &guestproto.Ready{
		Protocol: guestproto.Version, Arch: runtime.GOARCH, Guest: version, Enforces: enforces,
		Kernel: unix.ByteSliceToString(uts.Release[:]), CPUModel: "host",
	}, nil
}

// own does in a gVisor sandbox what its kernel lets process 1 do.
func (m *machine) own() error {
	// gVisor covers an empty /tmp by a filesystem that no limit of the job's bounds.
	if err := unix.Unmount("/tmp", 0); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("uncover /tmp: %w", err)
	}
	var err error
	if m.inside.PIDs, err = job.NewPIDsGroup("/dev/shm"); err != nil {
		return err
	}
	return nil
}

// growThreads has the Go runtime make threads, which it keeps.
func growThreads() {
	var all sync.WaitGroup
	go0 := make(chan struct{})
	var begun sync.WaitGroup
	for range threads {
		begun.Add(1)
		all.Add(1)
		go func() {
			defer all.Done()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			begun.Done()
			<-go0
		}()
	}
	begun.Wait()
	close(go0)
	all.Wait()
}

// volunteer has what is started while it is on be killed before this process when memory is short.
// The file is opened now: later it belongs to somebody else.
func volunteer() func(bool) {
	f, err := os.OpenFile("/proc/self/oom_score_adj", os.O_WRONLY, 0)
	if err != nil {
		return nil
	}
	return func(more bool) {
		score := "0"
		if more {
			score = "1000"
		}
		_, _ = f.WriteAt([]byte(score), 0)
	}
}

// Identify implements serve.Machine. Kernel, clock and randomness are the host's, or of a kernel that takes them from it.
func (m *machine) Identify(id *guestproto.Identity) error {
	m.inside.Names = sandbox.Names{Hostname: id.Hostname, MachineID: id.MachineID}
	name, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("read hostname: %w", err)
	}
	if name != id.Hostname {
		return fmt.Errorf("this machine was made with the name %q, not %q", name, id.Hostname)
	}
	if err := sandbox.WriteNames(m.inside.Names); err != nil {
		return err
	}
	for _, path := range []string{"/etc", "/etc/hostname", "/etc/machine-id", "/etc/hosts"} {
		// This process may be of a user that the job does not know; a link can't be there any more.
		if err := giveToRoot(path); err != nil {
			return err
		}
	}
	return nil
}

// giveToRoot changes the owner of what this process has made.
func giveToRoot(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("look at names: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Getuid() || st.Uid == 0 {
		return nil
	}
	if err := os.Lchown(path, 0, 0); err != nil {
		return fmt.Errorf("give names to root: %w", err)
	}
	return nil
}

// Mount implements serve.Machine.
func (m *machine) Mount(r *guestproto.Rootfs) error {
	if r.FS != guestproto.FSHost {
		return fmt.Errorf("the root is the host's to make: filesystem %q", r.FS)
	}
	return nil
}

// Freeze implements serve.Machine.
func (m *machine) Freeze() (int64, error) { return 0, errors.New("layers are the host's to freeze") }

// Prepare implements serve.Machine.
func (m *machine) Prepare(n uint16, spec *guestproto.Job, w *guestproto.Writer) serve.Run {
	if n != 1 {
		return refused{errors.New("a contained machine has one run")}
	}
	return m.inside.Prepare(n, spec, w)
}

// refused is a run that there is not.
type refused struct{ err error }

func (refused) Input([]byte)         {}
func (refused) InputEnd()            {}
func (refused) Start()               {}
func (refused) Stdin([]byte) error   { return nil }
func (refused) StdinEnd()            {}
func (refused) Kill(guestproto.Kill) {}
func (r refused) Done() <-chan error {
	done := make(chan error, 1)
	done <- &job.Fault{Code: guestproto.FaultJob, Err: r.err}
	return done
}
