package qemu

import (
	"fmt"
	"net"
	"os"
	"runtime"
)

// inherited is what a machine's process is given, and our ends of it.
type inherited struct {
	files                 []*os.File // in the order of FDUse, for QEMU
	qmp, channel, console net.Conn
}

// open makes or opens every descriptor in uses. On error nothing stays open.
func open(c Config, uses []FDUse) (_ *inherited, err error) {
	in := &inherited{}
	defer func() {
		if err != nil {
			in.closeOurs()
			in.closeTheirs()
		}
	}()
	for _, u := range uses {
		f, err := in.openOne(c, u)
		if err != nil {
			return nil, err
		}
		in.files = append(in.files, f)
	}
	return in, nil
}

func (in *inherited) openOne(c Config, u FDUse) (f *os.File, err error) {
	switch u.Role {
	case roleQMP:
		in.qmp, f, err = socketPair("qmp")
	case roleChannel:
		in.channel, f, err = socketPair("channel")
	case roleConsole:
		in.console, f, err = socketPair("console")
	case roleKernel:
		return openReadable(c.Kernel, c.User)
	case roleInitramfs:
		return openReadable(c.Initramfs, c.User)
	case roleDisk:
		return openDisk(c.Disks[u.Disk])
	case roleRAM:
		return openRAM(c)
	case roleState:
		return reopen(c.template.state, os.O_RDONLY)
	}
	return f, err
}

// openReadable opens a file that QEMU will open once more, by its descriptor,
// as user: that checks the file's own mode (not its folders'), and QEMU's
// message about it would say little.
func openReadable(path string, user *Credential) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && user != nil && info.Mode().Perm()&0o004 == 0 {
		err = fmt.Errorf("open %s: user %d can't read it: its mode is %v, want others to have read", path, user.UID, info.Mode())
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// openRAM gives a machine its own file, or its template's.
func openRAM(c Config) (*os.File, error) {
	if c.RAM == nil {
		return reopen(c.template.ram, os.O_RDONLY)
	}
	if c.template == nil {
		if err := c.RAM.Truncate(c.Memory); err != nil {
			return nil, fmt.Errorf("size the guest's memory: %w", err)
		}
	}
	return reopen(c.RAM, os.O_RDWR)
}

// reopen opens an open file anew. A duplicate would share its position, and two
// machines that read one state at once would each get a part of it.
func reopen(f *os.File, flag int) (*os.File, error) {
	path := f.Name()
	if runtime.GOOS == "linux" {
		path = fdPath("linux", int(f.Fd()))
	}
	return os.OpenFile(path, flag, 0)
}

func openDisk(d Disk) (*os.File, error) {
	path, flag := d.Path, os.O_RDWR
	if d.ReadOnly {
		flag = os.O_RDONLY
	}
	if d.File != nil {
		// Opened anew, not duplicated: a read-only disk gets a descriptor
		// that can't write, whatever File's can.
		path = fdPath(runtime.GOOS, int(d.File.Fd()))
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, fmt.Errorf("open disk %s: %w", d.Name, err)
	}
	if d.Size > 0 {
		if err := f.Truncate(d.Size); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("size disk %s: %w", d.Name, err)
		}
	}
	return f, nil
}

func (in *inherited) closeTheirs() {
	for _, f := range in.files {
		_ = f.Close()
	}
	in.files = nil
}

func (in *inherited) closeOurs() {
	for _, c := range []net.Conn{in.qmp, in.channel, in.console} {
		if c != nil {
			_ = c.Close()
		}
	}
}
