package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/internal/hosttest"
)

const (
	// commandsPrefix begins the names of folders with the commands under test and
	// their temporary files, in the system's folder for such.
	commandsPrefix = "pe-chaos-"
	// commandsLock is in each of them; whose run it is holds it.
	commandsLock = "chaos.lock"
	// commandsName is the link in a run's folder that says which is its.
	commandsName = "commands"
)

// claimCommands holds the lock of a folder of commands for as long as it is open.
func claimCommands(folder string) (*os.File, error) {
	held, err := os.Create(filepath.Join(folder, commandsLock))
	if err != nil {
		return nil, err
	}
	if err := lock(held); err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return held, nil
}

// nameCommands says in a run's folder where its commands are.
func nameCommands(dir, folder string) error {
	return os.Symlink(folder, filepath.Join(dir, commandsName))
}

// reclaimCommands removes the commands of a run that was cut off. One that ended by
// itself has removed them.
func reclaimCommands(dir string) error {
	folder, err := os.Readlink(filepath.Join(dir, commandsName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if filepath.Dir(folder) != filepath.Clean(os.TempDir()) || !strings.HasPrefix(filepath.Base(folder), commandsPrefix) {
		return fmt.Errorf("%s is no folder of a run's commands, and stays", folder)
	}
	if is, err := os.Lstat(folder); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil || !is.IsDir() {
		return errors.Join(err, fmt.Errorf("%s is no folder, and stays", folder))
	}
	held, err := os.OpenFile(filepath.Join(folder, commandsLock), os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("%s has no lock of a run, and stays: %w", folder, err)
	}
	defer held.Close()
	if err := lock(held); err != nil {
		return err
	}
	if left, err := hosttest.MountsBelow(folder); err != nil || len(left) > 0 {
		return errors.Join(err, fmt.Errorf("%s has mounts, and stays: %v", folder, left))
	}
	return os.RemoveAll(folder)
}
