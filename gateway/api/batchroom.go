package api

import "github.com/program-explorer/pe/schemas"

// Bounds of the batches that are under way at this gateway, in bytes of their
// bodies. Decoded, a batch takes several times as much memory.
const (
	// batchBytes are those of all tenants.
	batchBytes = 4 * tenantBatchBytes
	// tenantBatchBytes are those of one: the largest batch, or several smaller ones.
	tenantBatchBytes = schemas.MaxBatchBytes
	// minBatchWeight is what any batch counts as: a thousand empty specifications
	// are a short text, and not short decoded.
	minBatchWeight = 256 << 10
)

func newBatchRoom() *room {
	return newRoom(tenantBatchBytes, batchBytes,
		kindTooManyBatches.problem("so much of the tenant's batches is under way already", "send large batches one after the other"),
		kindBusy.problem("so many batches are under way already", "try again in a moment"))
}

// batchWeight is what a batch counts as, given the length of its body, which is
// negative if the client did not say.
func batchWeight(length int64) int64 {
	if length < 0 {
		return schemas.MaxBatchBytes
	}
	return max(length, minBatchWeight)
}
