package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// child is the state of the process between its orders.
type child struct {
	sock  *os.File
	setup Setup
	fds   map[string]int
	names Names // that the root has now
	// bootID is the file that the job finds in place of the kernel's; nil until there is one.
	bootID *os.File
	user   credentials
	path   string // of the program, absolute
	// stdio are the program's three descriptors.
	stdio [3]int
}

// Main runs the child and returns its exit code. It is called by guestrd's main when the
// first argument is ChildArg, in fresh namespaces, as root of the job's user namespace.
func Main() int {
	// Credentials are a thread's own: all that matters happens on this one.
	runtime.LockOSThread()
	// Process 1 of a PID namespace is immune to a signal only as long as it is unhandled or
	// handled; Go's runtime would die of some. They are not ignored, for that would be inherited.
	signal.Notify(make(chan os.Signal, 1))
	c := &child{sock: os.NewFile(controlFD, "control"), fds: map[string]int{}}
	unix.CloseOnExec(controlFD)
	err := c.serve()
	if err == nil || errors.Is(err, io.EOF) {
		return 0
	}
	Send(c.sock, Report{Failed: err.Error()})
	return 1
}

// serve follows guestrd's orders, which come in a fixed sequence.
func (c *child) serve() error {
	if err := enter(); err != nil {
		return err
	}
	if err := c.receiveRoot(); err != nil {
		return err
	}
	if err := Send(c.sock, Report{Rooted: true}); err != nil {
		return err
	}
	if err := c.receiveSetup(); err != nil {
		return err
	}
	prepared, err := c.prepare()
	var refused *refusal
	if errors.As(err, &refused) {
		return Send(c.sock, Report{Refused: &Refused{Code: refused.code, Message: refused.Error()}})
	}
	if err != nil {
		return err
	}
	if err := Send(c.sock, Report{Prepared: prepared}); err != nil {
		return err
	}
	return c.run()
}

// receiveRoot does what needs no job: guestrd sends it well before there is one.
func (c *child) receiveRoot() error {
	var order Order
	fds, err := Receive(c.sock, &order)
	if err != nil {
		return err
	}
	if order.Root == nil || len(fds) != 1 {
		return errors.New("receive root: another order came")
	}
	if err := makeRoot(fds[0]); err != nil {
		return err
	}
	if err := bringUpLoopback(); err != nil {
		return err
	}
	if err := c.rename(order.Root.Names); err != nil {
		return err
	}
	return dropPrivileges()
}

func (c *child) receiveSetup() error {
	var order Order
	fds, err := Receive(c.sock, &order)
	if err != nil {
		return err
	}
	if order.Setup == nil || len(order.Setup.FDs) != len(fds) {
		return errors.New("receive setup: another order came")
	}
	c.setup = *order.Setup
	for i, role := range c.setup.FDs {
		c.fds[role] = fds[i]
	}
	return nil
}

// prepare does everything up to the start.
func (c *child) prepare() (*Prepared, error) {
	begin := time.Now()
	if err := c.rename(c.setup.Names); err != nil {
		return nil, err
	}
	if err := resizeShm(c.setup.ShmSize); err != nil {
		return nil, err
	}
	own := time.Since(begin)
	p, err := c.prepareIn()
	if err == nil {
		p.SetupUS += own.Microseconds()
	}
	return p, err
}

// prepareIn prepares the program in a root that is ready.
func (c *child) prepareIn() (*Prepared, error) {
	begin := time.Now()
	user, err := lookupUser("/etc", c.setup.User)
	if err != nil {
		return nil, refuse(notExecutable, "%v", err)
	}
	c.user = user
	if err := makeFolders(c.setup.Cwd, user); err != nil {
		return nil, err
	}
	unpack := time.Now()
	p, err := c.unpackInputs()
	if err != nil {
		return nil, err
	}
	p.UnpackUS = time.Since(unpack).Microseconds()
	if err := c.openStdio(); err != nil {
		return nil, err
	}
	if c.setup.Rehearse {
		c.setup.Argv = []string{ownBinary, RehearsalArg}
	}
	if c.path, err = lookupProgram(c.setup.Argv[0], c.setup.Cwd, c.setup.Env, user); err != nil {
		return nil, err
	}
	p.SetupUS = time.Since(begin).Microseconds() - p.UnpackUS
	return p, nil
}

// run starts the program, waits for it, and packs what it leaves.
func (c *child) run() error {
	var order Order
	if _, err := Receive(c.sock, &order); err != nil {
		return err
	}
	if !order.Start {
		return errors.New("receive start: another order came")
	}
	begin := time.Now()
	pid, err := c.exec()
	if err != nil {
		var refused *refusal
		if errors.As(err, &refused) {
			return Send(c.sock, Report{Refused: &Refused{Code: refused.code, Message: refused.Error()}})
		}
		return err
	}
	c.closeStdio()
	if err := Send(c.sock, Report{Started: true}); err != nil {
		return err
	}
	exited, err := waitFor(pid)
	if err != nil {
		return err
	}
	exited.WallUS = time.Since(begin).Microseconds()
	if err := Send(c.sock, Report{Exited: exited}); err != nil {
		return err
	}
	go reap() // guestrd kills the rest of the job now
	return c.collect()
}

func (c *child) collect() error {
	var order Order
	fds, err := Receive(c.sock, &order)
	if err != nil {
		return err
	}
	if !order.Collect || len(fds) != 1 {
		return errors.New("receive collect: another order came")
	}
	collected, err := c.packOutputs(fds[0])
	if err != nil {
		return err
	}
	return Send(c.sock, Report{Collected: collected})
}

// waitFor reaps until pid is over.
func waitFor(pid int) (*Exited, error) {
	for {
		var status syscall.WaitStatus
		var usage syscall.Rusage
		got, err := syscall.Wait4(-1, &status, 0, &usage)
		if err == syscall.EINTR || err == nil && got != pid {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("wait for program: %w", err)
		}
		e := &Exited{Code: status.ExitStatus(), Usage: convert(usage)}
		if status.Signaled() {
			e.Code, e.Signal = 0, int(status.Signal())
		}
		return e, nil
	}
}

// reap takes the orphans that were left, until there are none.
func reap() {
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err == syscall.ECHILD {
			return
		}
	}
}

func convert(u syscall.Rusage) unix.Rusage {
	return unix.Rusage{
		Utime: unix.Timeval{Sec: u.Utime.Sec, Usec: u.Utime.Usec}, Stime: unix.Timeval{Sec: u.Stime.Sec, Usec: u.Stime.Usec},
		Maxrss: u.Maxrss, Minflt: u.Minflt, Majflt: u.Majflt, Nvcsw: u.Nvcsw, Nivcsw: u.Nivcsw,
	}
}
