package vminit

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// moduleList is written by guestrd/build: one path per line, in the order of loading.
const moduleList = "/modules/load"

// loadModules loads the kernel modules that the initramfs brings.
func loadModules() error {
	list, err := os.ReadFile(moduleList)
	if err != nil {
		return fmt.Errorf("load modules: %w", err)
	}
	for path := range strings.FieldsSeq(string(list)) {
		if err := loadModule(path); err != nil {
			return err
		}
	}
	return nil
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("load module %s: %w", path, err)
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	// ENODEV: a faster variant of something, for a processor that this machine does not have.
	if err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("load module %s: %w", path, err)
	}
	// It is in the kernel now; its file would only take the machine's memory.
	return os.Remove(path)
}
