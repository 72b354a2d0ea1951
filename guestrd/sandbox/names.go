package sandbox

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// rename gives the job this machine's own names, unless it has them: kernel hostname, boot id, and the files that
// hold names.
func (c *child) rename(to Names) error {
	if c.names == to {
		return nil
	}
	if err := unix.Sethostname([]byte(to.Hostname)); err != nil {
		return fmt.Errorf("set hostname: %w", err)
	}
	if err := c.renewBootID(); err != nil {
		return err
	}
	root, err := os.OpenRoot("/")
	if err != nil {
		return fmt.Errorf("open root: %w", err)
	}
	defer root.Close()
	if err := writeNames(root, to); err != nil {
		return err
	}
	c.names = to
	return nil
}

// writeNames replaces the files that hold the machine's names.
func writeNames(root *os.Root, to Names) error {
	if err := makeFolder(root, "etc"); err != nil {
		return fmt.Errorf("make /etc: %w", err)
	}
	files := map[string]string{
		"etc/hostname":   to.Hostname + "\n",
		"etc/machine-id": to.MachineID + "\n",
		"etc/hosts":      "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 " + to.Hostname + "\n",
	}
	for path, content := range files {
		// What the image has there may be a link, or a folder: it is replaced, never followed.
		if err := root.RemoveAll(path); err != nil {
			return fmt.Errorf("replace /%s: %w", path, err)
		}
		if err := root.WriteFile(path, []byte(content), 0o644); err != nil {
			return fmt.Errorf("write /%s: %w", path, err)
		}
	}
	return nil
}

// bringUpLoopback sets lo up in the job's network namespace, its only interface.
func bringUpLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	return nil
}
