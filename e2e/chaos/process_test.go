package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience bounds waits for what must come.
const patience = 2 * time.Minute

// process is a program that is killed, paused and started again on the same data.
type process struct {
	name string
	path string
	args []string
	env  []string
	log  string // a file that all its lives append to
	disk *disk  // of its data; nil if it has none of its own

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{}
}

// start begins the next life.
func (p *process) start() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = p.env, log, log, filepath.Dir(p.log)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.ended = cmd, ended
	return nil
}

// signal reaches one that lives, and nobody else.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.ended:
	default:
		_ = p.cmd.Process.Signal(s) // it may end right now
	}
}

// over is closed at the end of the present life.
func (p *process) over() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

func (p *process) alive() bool {
	select {
	case <-p.over():
		return false
	default:
		return true
	}
}

// kill is a crash: nothing of it is left when it returns.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.over()
}

// stop asks it to end, and insists after a while.
func (p *process) stop() error {
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGTERM)
	select {
	case <-p.over():
		return nil
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("%s did not end within %s of SIGTERM", p.name, patience)
	}
}

// tail is what it said last.
func (p *process) tail(n int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-n):])
}

// procFile is a path below /proc/PID.
func procFile(pid int, elem ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(pid)}, elem...)...)
}

// command is the command line of a process, words separated by blanks.
func command(pid int) string {
	text, _ := os.ReadFile(procFile(pid, "cmdline")) // gone: none
	return strings.ReplaceAll(string(text), "\x00", " ")
}
