//go:build linux

package oci

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// collect removes the least recently used layers that nobody uses, until the rest is within the budget.
func (s *layers) collect() {
	type entry struct {
		dir  string
		size int64
		used time.Time
	}
	var all []entry
	var sum int64
	folders, _ := filepath.Glob(filepath.Join(s.dir, "*", useFile))
	for _, use := range folders {
		info, err := os.Stat(use)
		text, err2 := os.ReadFile(filepath.Join(filepath.Dir(use), sizeFile))
		if err != nil || err2 != nil {
			continue // half-made
		}
		size, _ := strconv.ParseInt(string(text), 10, 64)
		all, sum = append(all, entry{filepath.Dir(use), size, info.ModTime()}), sum+size
	}
	slices.SortFunc(all, func(a, b entry) int { return a.used.Compare(b.used) })
	for _, e := range all {
		if sum <= s.budget {
			return
		}
		lock, err := lockFile(filepath.Join(e.dir, useFile), unix.LOCK_EX)
		if err != nil {
			continue
		}
		if err := os.RemoveAll(e.dir); err != nil {
			s.log.Warn("old layers not removed", "dir", e.dir, "err", err)
		} else {
			sum -= e.size
		}
		lock.Close()
	}
}

// diskUsage is what a folder takes on disk, in bytes.
func diskUsage(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return fmt.Errorf("measure %s: %w", path, err)
		}
		sum += st.Blocks * 512
		return nil
	})
	return sum, err
}
