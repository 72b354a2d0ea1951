package qemu

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// socketPair returns a connected pair: ours, and the file that QEMU inherits.
func socketPair(name string) (net.Conn, *os.File, error) {
	// Not every system can make sockets close-on-exec at birth; the lock keeps
	// a process that starts meanwhile from inheriting them.
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair %s: %w", name, err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name)
	defer ours.Close() // FileConn duplicates it
	conn, err := net.FileConn(ours)
	if err != nil {
		_ = theirs.Close()
		return nil, nil, fmt.Errorf("make socket pair %s: %w", name, err)
	}
	return conn, theirs, nil
}

// writeWith writes b, and passes a duplicate of file along, if there is one.
func writeWith(conn net.Conn, b []byte, file *os.File) error {
	if file == nil {
		_, err := conn.Write(b)
		return err
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("pass file %s: not over a %T", file.Name(), conn)
	}
	n, _, err := u.WriteMsgUnix(b, syscall.UnixRights(int(file.Fd())), nil)
	if err == nil && n < len(b) {
		_, err = conn.Write(b[n:])
	}
	return err
}
