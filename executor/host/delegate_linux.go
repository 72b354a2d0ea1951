package host

import "golang.org/x/sys/unix"

// delegated reports whether systemd has marked a group as delegated. Only root reads
// the first mark; systemd before 251 knows no other.
func delegated(dir string) bool {
	for _, mark := range []string{"trusted.delegate", "user.delegate"} {
		value := make([]byte, 8)
		if n, err := unix.Getxattr(dir, mark, value); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	return false
}
