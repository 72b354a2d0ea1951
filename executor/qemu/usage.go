package qemu

import "time"

// Usage is what a machine costs its host, the guest's work included.
type Usage struct {
	CPU     time.Duration // user and system time of all of QEMU's threads
	PeakRSS int64         // bytes, the most that was resident at once
	RSS     int64         // bytes, resident now; 0 after the end
	// PSS is RSS with shared pages divided among those who share them, in bytes:
	// the honest figure for machines restored from one template. 0 after the end,
	// and where it can't be read.
	PSS int64
	// Private is what the machine has to itself and would be free without it, in
	// bytes. 0 where PSS is.
	Private int64
}

// Usage may be called while the machine runs and after its end.
func (m *Machine) Usage() (Usage, error) {
	select {
	case <-m.process.done:
		return finalUsage(m.process.state()), nil
	default:
		return usageOf(m.process.pid)
	}
}

// CPU is Usage's, by itself: the host needs milliseconds to count the memory.
func (m *Machine) CPU() (time.Duration, error) {
	select {
	case <-m.process.done:
		return finalUsage(m.process.state()).CPU, nil
	default:
		return cpuOf(m.process.pid)
	}
}
