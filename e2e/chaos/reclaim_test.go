package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// runLog is in every run's folder, and nowhere else; whoever runs there holds its lock.
const runLog = "chaos.log"

// createLog makes a run's log, and holds its lock for as long as it is open.
func createLog(dir string) (*os.File, error) {
	log, err := os.Create(filepath.Join(dir, runLog))
	if err != nil {
		return nil, err
	}
	if err := lock(log); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return log, nil
}

func lock(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%s is of a run that is under way: %w", filepath.Dir(f.Name()), err)
	}
	return nil
}

// reclaim removes the folder of an earlier run, and first the disks and commands that
// it left if it was cut off. What is not recognisably a run's is an error, and stays.
func reclaim(dir string) error {
	log, err := os.OpenFile(filepath.Join(dir, runLog), os.O_RDWR|unix.O_NOFOLLOW, 0)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("%s has no %s: it is no run's, and stays", dir, runLog)
	case err != nil:
		return err
	}
	defer log.Close()
	if err := lock(log); err != nil {
		return err
	}
	if err := unmountDisks(dir); err != nil {
		return err
	}
	if err := reclaimCommands(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// unmountDisks takes a run's disks away, with what its processes had mounted on them.
func unmountDisks(dir string) error {
	for {
		left, err := mounts(dir)
		if err != nil || len(left) == 0 {
			return err
		}
		own := left[len(left)-1]
		for _, m := range left {
			if m.isDisk(dir) {
				own = m
			}
		}
		if !own.isDisk(dir) {
			return fmt.Errorf("%s has a mount that is none of a run's, and stays: %s (%s)", dir, own.at, own.kind)
		}
		if err := (&disk{own.at}).close(); err != nil {
			return fmt.Errorf("unmount %s: %w", own.at, err)
		}
	}
}

// mounted is a mount, as the kernel lists it.
type mounted struct{ source, at, kind string }

// isDisk says whether it is what newDisk mounts in a run's folder.
func (m mounted) isDisk(dir string) bool {
	return m.source == diskSource && m.kind == "tmpfs" && filepath.Dir(m.at) == dir
}

// mounts lists those below a folder, in the order in which they were made.
func mounts(dir string) (found []mounted, err error) {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > 2 && strings.HasPrefix(unescape.Replace(f[1]), dir+"/") {
			found = append(found, mounted{source: f[0], at: unescape.Replace(f[1]), kind: f[2]})
		}
	}
	return found, nil
}

// unescape reads what the kernel writes for characters that would end a field.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
