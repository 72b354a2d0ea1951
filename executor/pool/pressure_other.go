//go:build !linux

package pool

// MemoryPressure is nil: this system doesn't say how much memory is left.
func MemoryPressure(reserve int64) func() bool { return nil }
