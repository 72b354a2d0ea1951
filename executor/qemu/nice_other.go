//go:build unix && !linux

package qemu

// lowerNice does nothing: what was made nice here can't be brought back.
func lowerNice(pid int) (raise func() error) { return nil }
