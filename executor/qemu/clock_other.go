//go:build !amd64

package qemu

// timestampCounter is not asked for where the CPU is no x86.
func timestampCounter() uint64 { return 0 }
