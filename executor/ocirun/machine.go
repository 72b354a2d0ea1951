//go:build linux

package ocirun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Config is one machine.
type Config struct {
	// Instance is its name, unique on this host: 1 to 60 of [a-z0-9-]. Required.
	Instance string
	// Hostname is what it calls itself. Required.
	Hostname string
	Runtime  Runtime
	// RunDir holds a folder for each machine: a sweep finds there what a killed process left. Others must
	// be able to pass through it (mode 0711), if machines have users of their own. Required.
	RunDir string
	// Guest is the static program that becomes process 1, with GuestArgs; it speaks over its stdin and stdout.
	Guest     string
	GuestArgs []string
	// Layers are the folders of the root filesystem, topmost first; they are not written to.
	Layers []string
	// Users are the host's users that the machine's are; nil: the machine is gVisor's, which has no
	// host's users inside, or the host can't map owners.
	Users *Users
	// Cgroups is where the machine's group is made. Required.
	Cgroups *Cgroups
	// Limits at first; ScratchBytes is wanted.
	Limits Limits

	group *cgroup
}

// Limits are the host's. Zero is "none yet", but for ScratchBytes.
type Limits struct {
	MemoryBytes  int64
	PIDs         int64
	CPUsMilli    int64 // thousandths of a processor
	ScratchBytes int64
}

// Usage is what a machine has used, by the host's count.
type Usage struct {
	CPU, User, System time.Duration
	// Held is the memory that can't be taken away from it, in bytes, Peak the most that it ever had.
	Held, Peak int64
	PIDs       int64
	// OOMKills and PIDsHit count how often a limit was hit.
	OOMKills, PIDsHit int64
	// ScratchFull says that its scratch is full right now.
	ScratchFull bool
}

// Machine is a container or a sandbox that runs.
type Machine struct {
	dir     string
	group   *cgroup
	channel *channel
	said    *tail
	pid     int
	done    chan struct{}

	closing sync.Once
	closed  error
}

var instances = regexp.MustCompile(`^[a-z0-9-]{1,60}$`)

// namePrefix marks cgroups and run files as ours.
const namePrefix = "pe-oci-"

// Boot makes a machine and returns when its first process runs. It ends by Close, not with ctx.
func Boot(ctx context.Context, c Config) (*Machine, error) {
	if !instances.MatchString(c.Instance) || !plain(c.RunDir) || c.Limits.ScratchBytes <= 0 || c.Cgroups == nil {
		return nil, fmt.Errorf("machine %q: bad name, folder or limits", c.Instance)
	}
	m := &Machine{dir: filepath.Join(c.RunDir, namePrefix+c.Instance), done: make(chan struct{}), said: &tail{}}
	if err := os.Mkdir(m.dir, 0o711); err != nil {
		return nil, fmt.Errorf("make machine's folder: %w", err)
	}
	if err := m.boot(ctx, c); err != nil {
		if text := m.said.text(); text != "" {
			err = fmt.Errorf("%w; %s says: %s", err, c.Runtime.Name, text)
		}
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Machine) boot(ctx context.Context, c Config) error {
	// First, so that a sweep finds everything that comes after.
	m.group = c.Cgroups.group(namePrefix + c.Instance)
	if err := writeRecord(m.dir, c.Instance, m.group.dirs); err != nil {
		return err
	}
	if _, err := c.Cgroups.make(namePrefix + c.Instance); err != nil {
		return err
	}
	c.group = m.group
	if err := m.group.limit(c.Limits); err != nil {
		return err
	}
	if err := makeRoot(m.dir, c.Layers, c.Users, c.Limits.ScratchBytes); err != nil {
		return err
	}
	text, err := newSpec(c, m.dir).encode()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(m.dir, configFile), text, 0o600); err != nil {
		return fmt.Errorf("describe machine: %w", err)
	}
	return m.run(ctx, c)
}

// run has the runtime start the machine, whose process 1 gets our pipes.
func (m *Machine) run(ctx context.Context, c Config) error {
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make channel: %w", err)
	}
	defer theirIn.Close()
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		ourOut.Close()
		return fmt.Errorf("make channel: %w", err)
	}
	defer theirOut.Close()
	m.channel = &channel{ourIn, ourOut}
	errors0, errorsTo, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make channel: %w", err)
	}
	defer errorsTo.Close()
	go m.said.read(errors0)
	for _, f := range []*os.File{theirIn, theirOut} {
		_, _ = unix.FcntlInt(f.Fd(), unix.F_SETPIPE_SZ, 1<<20) // a wish
	}
	words := c.Runtime.run(m.dir, c.Instance)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir, cmd.Env = m.dir, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirIn, theirOut, errorsTo
	if c.Runtime.Name == Runsc {
		err = m.group.start(cmd)
	} else {
		err = cmd.Start() // these place the machine themselves, and would count as part of it
	}
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		time.Sleep(time.Millisecond) // for the last words
		return fmt.Errorf("start machine: %w", err)
	}
	return m.follow()
}

// follow finds the machine's process and watches it.
func (m *Machine) follow() error {
	b, err := os.ReadFile(filepath.Join(m.dir, pidFile))
	if err != nil {
		return fmt.Errorf("start machine: %w", err)
	}
	if m.pid, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
		return fmt.Errorf("start machine: %w", err)
	}
	fd, err := unix.PidfdOpen(m.pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch machine: %w", err)
	}
	handle := os.NewFile(uintptr(fd), "pidfd")
	raw, err := handle.SyscallConn()
	if err != nil {
		handle.Close()
		return fmt.Errorf("watch machine: %w", err)
	}
	go func() {
		defer close(m.done)
		defer handle.Close()
		_ = raw.Read(func(fd uintptr) bool {
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(p, 0)
			return n > 0 || err != nil && err != unix.EINTR
		})
	}()
	return nil
}

// Channel is the other end of process 1's stdin and stdout.
func (m *Machine) Channel() io.ReadWriteCloser { return m.channel }

// Done is closed when the machine is over.
func (m *Machine) Done() <-chan struct{} { return m.done }

// Console is the end of what process 1 and the runtime wrote to stderr: not to be trusted.
func (m *Machine) Console() string { return m.said.text() }

// Limit sets those limits that are not zero.
func (m *Machine) Limit(l Limits) error {
	if l.ScratchBytes > 0 {
		if err := resizeScratch(m.dir, l.ScratchBytes); err != nil {
			return err
		}
	}
	return m.group.limit(l)
}

// Usage is what it has used by now.
func (m *Machine) Usage() Usage {
	u := m.group.usage()
	u.ScratchFull = scratchFull(m.dir)
	return u
}

// Kill ends all of its processes and returns when they are gone. What it used can still be asked for.
func (m *Machine) Kill() error {
	if m.group == nil {
		return nil
	}
	return m.group.kill()
}

// Upper is the folder with what the machine wrote over its layers, until Close.
func (m *Machine) Upper() string { return filepath.Join(m.dir, scratchFolder, "upper") }

// Close ends the machine and takes everything of it away. It may be called again.
func (m *Machine) Close() error {
	m.closing.Do(func() {
		if m.channel != nil {
			m.channel.Close()
		}
		m.closed = takeAway(m.dir, m.group)
	})
	return m.closed
}

// takeAway removes a machine: its processes, its group, its mounts, its folder, in this order.
func takeAway(dir string, g *cgroup) error {
	if g != nil {
		if err := errors.Join(g.kill(), g.remove()); err != nil {
			return fmt.Errorf("remove machine: %w", err)
		}
	}
	if err := unmountBelow(dir); err != nil {
		return fmt.Errorf("remove machine: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove machine: %w", err)
	}
	return nil
}
