package vm

import (
	"runtime"

	"github.com/program-explorer/pe/executor"
)

const (
	// guestOverhead is what kernel, init and page tables take of a machine's
	// memory, in bytes, so that a job can have all of its own limit.
	guestOverhead = 128 << 20
	// warmupRoom is what an image's warm-up may write, in bytes: it stays in the
	// machine's memory, beside the job's.
	warmupRoom = 256 << 20

	minMachine = 256 << 20
	maxMachine = 512 << 30
)

// machineBytes picks the machine's memory from a short list, the powers of two:
// exact limits are cgroups inside, and few sizes mean that snapshots are shared.
func machineBytes(shape executor.Shape) int64 {
	want := shape.MemoryBytes + guestOverhead
	if len(shape.Warmup) > 0 {
		want += warmupRoom
	}
	size := int64(minMachine)
	for size < want && size < maxMachine {
		size *= 2
	}
	return size
}

// processors is the number of the machine's CPUs.
func processors(shape executor.Shape) int { return max(1, min(shape.CPUs, runtime.NumCPU())) }
