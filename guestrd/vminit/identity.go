package vminit

import (
	"fmt"
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

// identify makes this machine different from every clone of its snapshot, but for its names: those that
// anybody can see are of each job's sandbox.
func identify(m *guestproto.Identity) error {
	if err := reseed(m.Entropy); err != nil {
		return err
	}
	now := unix.NsecToTimespec(m.ClockNS)
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
		return fmt.Errorf("set clock: %w", err)
	}
	return nil
}

// reseed mixes the host's bytes into the pool and makes the generator take a new key from it at
// once: without the second step, clones go on from the same key.
func reseed(entropy []byte) error {
	fd, err := unix.Open("/dev/urandom", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("reseed: %w", err)
	}
	defer unix.Close(fd)
	var pool struct {
		bits, size int32
		data       [maxEntropyBytes]byte
	}
	size := copy(pool.data[:], entropy)
	pool.bits, pool.size = int32(size*8), int32(size)
	err = ioctl(fd, rndAddEntropy, unsafe.Pointer(&pool))
	runtime.KeepAlive(&pool)
	if err != nil {
		return fmt.Errorf("add entropy: %w", err)
	}
	if err := ioctl(fd, rndReseedCRNG, nil); err != nil {
		return fmt.Errorf("reseed generator: %w", err)
	}
	return nil
}

func ioctl(fd int, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
