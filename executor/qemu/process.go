package qemu

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"
)

// launcher limits itself and then becomes QEMU, in a shell because Go can't set
// a child's limits. It waits for one line first, so that the process is in its
// cgroup and in the run folder before QEMU exists; a parent that dies meanwhile
// is an end of file. Limits that are lower already can't be raised: so be it.
const launcher = `read -r go || exit 125
ulimit -v "$1" || :; shift
ulimit -c 0 || :
ulimit -n 256 || :
echo 800 2>/dev/null >/proc/self/oom_score_adj || :
exec "$@" </dev/null`

// addressOverhead is the address space that QEMU needs besides the guest's RAM
// and the translation buffer, and addressPerCPU that of each CPU's thread. A
// machine of 256 MiB and 1 CPU was seen to use 406 MiB on top of the two. The limit
// holds where no cgroup does: then it is the host's only bound on memory.
const (
	addressOverhead = 1 << 30
	addressPerCPU   = 128 << 20
)

// addressSpace is what QEMU may map, in KiB.
func addressSpace(c Config) int64 {
	return (c.Memory + tcgBuffer<<20 + addressOverhead + int64(c.CPUs)*addressPerCPU) >> 10
}

// outputDelay bounds the wait for stderr's end after QEMU's.
const outputDelay = time.Second

// process is a started QEMU and what of it is on the host.
type process struct {
	pid     int
	cmd     *exec.Cmd
	cgroup  cgroup
	runFile string
	raise   func() error // ends what lower began; nil: nothing to end

	admitted chan struct{} // closed when the three are set for good
	done     chan struct{} // closed after the process was waited for and tidied up
}

// startProcess starts QEMU with files as descriptors 3 and up.
func startProcess(c Config, args []string, files []*os.File, messages io.Writer) (*process, error) {
	keepOwn()
	cmd := exec.Command("/bin/sh", append([]string{"-c", launcher, "sh",
		strconv.FormatInt(addressSpace(c), 10), c.Binary}, args...)...)
	cmd.Env = []string{"MALLOC_ARENA_MAX=2"} // nothing of ours, which may hold credentials
	cmd.Dir = "/"
	cmd.ExtraFiles = files
	cmd.Stderr = messages
	cmd.WaitDelay = outputDelay
	cmd.SysProcAttr = attributes(c)
	gate, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, admitted: make(chan struct{}), done: make(chan struct{})}
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	if err := p.admit(c, gate); err != nil {
		p.kill()
		<-p.done
		return nil, err
	}
	return p, nil
}

// run starts the process and waits for its end, on one thread that does nothing
// else: the kernel sends the parent-death signal when the thread that started
// the child ends, and Go may end a thread that some caller had locked.
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- fmt.Errorf("start QEMU: %w", err)
		return
	}
	p.pid = p.cmd.Process.Pid
	started <- nil
	_ = p.cmd.Wait() // ProcessState has it
	<-p.admitted
	p.tidy()
	close(p.done)
}

// admit bounds and records the waiting process, then lets it become QEMU.
func (p *process) admit(c Config, gate io.WriteCloser) (err error) {
	defer close(p.admitted)
	if c.Cgroups != nil {
		p.cgroup = c.Cgroups.folders(processName(c.Instance))
	}
	// Recorded before they are there: a sweep must know of all that we may leave.
	if c.RunDir != "" {
		if p.runFile, err = writeRunFile(c.RunDir, c.Instance, p.pid, p.cgroup); err != nil {
			return err
		}
	}
	if c.Cgroups != nil {
		if err := c.Cgroups.bound(p.cgroup, c, p.pid); err != nil {
			return err
		}
	}
	if c.Background {
		if err = p.lower(c); err != nil {
			return fmt.Errorf("start in the background: %w", err)
		}
	}
	_, err = io.WriteString(gate, "go\n")
	if err = errors.Join(err, gate.Close()); err != nil {
		return fmt.Errorf("start QEMU: %w", err)
	}
	return nil
}

func (p *process) kill() { _ = p.cmd.Process.Kill() }

// state is valid after done.
func (p *process) state() *os.ProcessState { return p.cmd.ProcessState }

func (p *process) tidy() {
	p.cgroup.remove()
	if p.runFile != "" {
		_ = os.Remove(p.runFile)
	}
}
