package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// clockTolerance is by how many parts in a million two measurements of one host's clock rate may
// differ. A guest that is told a rate as wrong as that loses 12 ms in a minute.
const clockTolerance = 200

const clockFile = "clock_khz"

// ClockRate settles the rate, in kHz, that guests are told (qemu.Config.CounterKHz). Each process
// measures a slightly other one, and with it each would have keys of its own: so the first
// measurement counts for all, until one shows that the folder is on another host.
func (s *Store) ClockRate(measured int64) (int64, error) {
	lock, err := os.OpenFile(filepath.Join(s.dir, clockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, fmt.Errorf("settle clock rate: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return 0, fmt.Errorf("settle clock rate: %w", err)
	}
	var buf [32]byte
	n, _ := lock.ReadAt(buf[:], 0)
	settled, err := strconv.ParseInt(strings.TrimSpace(string(buf[:n])), 10, 64)
	if difference := max(settled-measured, measured-settled); err == nil && difference <= measured*clockTolerance/1_000_000 {
		return settled, nil
	}
	if err := lock.Truncate(0); err != nil {
		return 0, fmt.Errorf("settle clock rate: %w", err)
	}
	if _, err := fmt.Fprintln(lock, measured); err != nil {
		return 0, fmt.Errorf("settle clock rate: %w", err)
	}
	return measured, nil
}
