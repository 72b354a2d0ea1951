package sandbox

import (
	"crypto/rand"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// bootIDPath is a number that programs take for one boot's own. The kernel makes it up when it is first asked,
// which may be before a machine is copied, and never again.
const bootIDPath = "/proc/sys/kernel/random/boot_id"

// renewBootID gives the job a boot id that no other machine has. The first call covers the kernel's.
func (c *child) renewBootID() error {
	if c.bootID == nil {
		var err error
		if c.bootID, err = coverBootID(); err != nil {
			return fmt.Errorf("cover boot id: %w", err)
		}
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return fmt.Errorf("make boot id: %w", err)
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // a UUID of version 4, as the kernel's
	text := fmt.Sprintf("%x-%x-%x-%x-%x\n", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	if _, err := c.bootID.WriteAt([]byte(text), 0); err != nil {
		return fmt.Errorf("write boot id: %w", err)
	}
	return nil
}

// coverBootID puts an empty file, which has no name of its own, over the kernel's.
func coverBootID() (*os.File, error) {
	const name = "/dev/boot_id"
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return nil, err
	}
	err = unix.Mount(name, bootIDPath, "", unix.MS_BIND, "")
	if err == nil {
		err = unix.Mount("", bootIDPath, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}
	if err == nil {
		err = os.Remove(name)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
