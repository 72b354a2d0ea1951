package vminit

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// Requests of /dev/random that golang.org/x/sys/unix does not have on every architecture.
const (
	rndAddEntropy   = 0x40085203
	rndReseedCRNG   = 0x5207
	maxEntropyBytes = 1024
)

// identify makes this machine different from every clone of its snapshot.
func identify(m *guestproto.Identity) error {
	if err := reseed(m.Entropy); err != nil {
		return err
	}
	now := unix.NsecToTimespec(m.ClockNS)
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
		return fmt.Errorf("set clock: %w", err)
	}
	if err := unix.Sethostname([]byte(m.Hostname)); err != nil {
		return fmt.Errorf("set hostname: %w", err)
	}
	if err := os.WriteFile("/etc/machine-id", []byte(m.MachineID+"\n"), 0o444); err != nil {
		return fmt.Errorf("write machine id: %w", err)
	}
	return nil
}

// reseed mixes the host's bytes into the pool and makes the generator take a new key from it at
// once: without the second step, clones go on from the same key.
func reseed(entropy []byte) error {
	f, err := os.OpenFile("/dev/urandom", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("reseed: %w", err)
	}
	defer f.Close()
	var pool struct {
		bits, size int32
		data       [maxEntropyBytes]byte
	}
	size := copy(pool.data[:], entropy)
	pool.bits, pool.size = int32(size*8), int32(size)
	err = ioctl(f, rndAddEntropy, unsafe.Pointer(&pool))
	runtime.KeepAlive(&pool)
	if err != nil {
		return fmt.Errorf("add entropy: %w", err)
	}
	if err := ioctl(f, rndReseedCRNG, nil); err != nil {
		return fmt.Errorf("reseed generator: %w", err)
	}
	return nil
}

func ioctl(f *os.File, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
