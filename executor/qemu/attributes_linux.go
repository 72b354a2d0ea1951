package qemu

import "syscall"

// attributes put QEMU into a session of its own, end it when we end, and make
// it the unprivileged user.
func attributes(c Config) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if c.User == nil {
		return a
	}
	a.Credential = &syscall.Credential{Uid: c.User.UID, Gid: c.User.GID, Groups: []uint32{}}
	if c.Accel == KVM {
		// Usually root:kvm 0660.
		if gid, ok := groupOf("/dev/kvm"); ok {
			a.Credential.Groups = append(a.Credential.Groups, gid)
		}
	}
	return a
}
