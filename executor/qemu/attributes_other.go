//go:build unix && !linux

package qemu

import "syscall"

// attributes put QEMU into a session of its own and make it the unprivileged
// user. There is no parent-death signal here: Sweep finds what is left.
func attributes(c Config) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true}
	if c.User != nil {
		a.Credential = &syscall.Credential{Uid: c.User.UID, Gid: c.User.GID, Groups: []uint32{}}
	}
	return a
}
