package vm

// guestOverhead is what kernel, init and page tables take of a machine's
// memory, in bytes, so that a job can have all of its own limit.
const guestOverhead = 128 << 20

const (
	minMachine = 256 << 20
	maxMachine = 512 << 30
)

// machineBytes picks the machine's memory from a short list, the powers of two:
// exact limits are cgroups inside, and few sizes mean that snapshots are shared.
func machineBytes(job int64) int64 {
	size := int64(minMachine)
	for size < job+guestOverhead && size < maxMachine {
		size *= 2
	}
	return size
}
