package vminit

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a device may take to appear after its driver was loaded.
const patience = 10 * time.Second

// channelPort is the name of the virtio-serial port to the host.
const channelPort = "pe.job"

// openChannel finds the port to the host, which may take patience to appear, and opens it.
func openChannel(patience time.Duration) (*os.File, error) {
	name, err := findDevice("/sys/class/virtio-ports", "name", channelPort, patience)
	if err != nil {
		return nil, fmt.Errorf("find channel: %w", err)
	}
	// Opened without O_NONBLOCK, and not by package os, which would poll it: reads and writes then
	// block in the kernel, which costs fewer system calls.
	fd, err := unix.Open("/dev/"+name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open channel: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// openDisk opens the block device with a virtio serial.
func openDisk(serial string, write bool) (*os.File, error) {
	path, err := diskPath(serial)
	if err != nil {
		return nil, err
	}
	flag := os.O_RDONLY
	if write {
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, fmt.Errorf("open disk %s: %w", serial, err)
	}
	return f, nil
}

func diskPath(serial string) (string, error) {
	name, err := findDevice("/sys/block", "serial", serial, patience)
	if err != nil {
		return "", fmt.Errorf("find disk %s: %w", serial, err)
	}
	return "/dev/" + name, nil
}

// findDevice returns the entry of a sysfs class whose attribute has the wanted value. Devices
// appear a little after their driver.
func findDevice(class, attribute, want string, patience time.Duration) (string, error) {
	deadline := time.Now().Add(patience)
	for {
		entries, _ := os.ReadDir(class)
		for _, e := range entries {
			value, err := os.ReadFile(class + "/" + e.Name() + "/" + attribute)
			if err == nil && strings.TrimRight(string(value), "\x00\n") == want {
				return e.Name(), nil
			}
		}
		if time.Now().After(deadline) {
			return "", errors.New("no such device")
		}
		time.Sleep(2 * time.Millisecond)
	}
}
