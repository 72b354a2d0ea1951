//go:build unix

package host

import "golang.org/x/sys/unix"

// KernelRelease is what uname -r prints.
func KernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
