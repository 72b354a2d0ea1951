//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// mounts are the machine's file systems, in order. The disk is ext4 as Debian
// mounts it, but for its commit: nothing reaches it because time has passed.
var mounts = []struct{ source, path, kind, data string }{
	{"dev", "/dev", "devtmpfs", ""},
	{"proc", "/proc", "proc", ""},
	{"sys", "/sys", "sysfs", ""},
	{"tmp", "/tmp", "tmpfs", ""},
	{"/dev/vda", "/data", "ext4", "commit=3600"},
}

// settings keep what nobody synced in memory, where the power cut finds it.
var settings = map[string]string{
	"/proc/sys/vm/dirty_writeback_centisecs": "0",
	"/proc/sys/vm/dirty_expire_centisecs":    "360000",
}

func setUp() error {
	if err := loadModules(); err != nil {
		return err
	}
	for _, m := range mounts {
		if err := os.MkdirAll(m.path, 0o755); err != nil {
			return err
		}
		// EBUSY: the kernel mounted devtmpfs by itself.
		if err := unix.Mount(m.source, m.path, m.kind, 0, m.data); err != nil && err != unix.EBUSY {
			return fmt.Errorf("mount %s: %w", m.path, err)
		}
	}
	for path, value := range settings {
		if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// loadModules loads those that the host listed, in its order.
func loadModules() error {
	list, err := os.ReadFile("/modules/load")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for path := range strings.FieldsSeq(string(list)) {
		module, err := os.ReadFile(path)
		if err == nil {
			err = unix.InitModule(module, "")
		}
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load %s: %w", path, err)
		}
	}
	return nil
}

// network gives the machine the addresses that QEMU's user network expects.
func network() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for name, address := range map[string][]byte{"lo": {127, 0, 0, 1}, "eth0": {10, 0, 2, 15}} {
		if err := bringUp(fd, name, address); err != nil {
			return fmt.Errorf("bring %s up: %w", name, err)
		}
	}
	return nil
}

func bringUp(fd int, name string, address []byte) error {
	set := func(request uint, fill func(*unix.Ifreq) error) error {
		r, err := unix.NewIfreq(name)
		if err == nil {
			err = fill(r)
		}
		if err == nil {
			err = unix.IoctlIfreq(fd, request, r)
		}
		return err
	}
	return errors.Join(
		set(unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(address) }),
		set(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) }),
		set(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP); return nil }),
	)
}
