package schemas

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// MaxSpared is how many jobs a [Horizon] may spare.
const MaxSpared = 1000

// Horizon of a tenant: jobs that were created before an instant are over for good,
// but for those that are in history, and those that it spares. A record of any other one, which
// a server may find again on its disk, counts for nothing.
type Horizon struct {
	Version int `json:"v"`
	// CreatedUS is that instant, in microseconds since the Unix epoch.
	CreatedUS int64 `json:"created_us"`
	// Spared are the ids of jobs that were created before, and whose records are in the
	// bucket of jobs: in order, up to [MaxSpared].
	Spared []string `json:"spared,omitempty"`
}

// HorizonVersion is that of every [Horizon].
const HorizonVersion = 1

// Over reports whether a job is that was created at an instant, in microseconds
// since the Unix epoch, and is not in history.
func (h Horizon) Over(id string, createdUS int64) bool {
	if createdUS >= h.CreatedUS {
		return false
	}
	_, spared := slices.BinarySearch(h.Spared, id)
	return !spared
}

// DecodeHorizon reads what a gateway has written.
func DecodeHorizon(data []byte) (h Horizon, err error) {
	if err := json.Unmarshal(data, &h); err != nil {
		return Horizon{}, fmt.Errorf("decode horizon: %w", err)
	}
	wrong := slices.ContainsFunc(h.Spared, func(id string) bool { return !ValidJobID(id) })
	if h.Version != HorizonVersion || h.CreatedUS < 0 || len(h.Spared) > MaxSpared || wrong || !slices.IsSorted(h.Spared) {
		return Horizon{}, fmt.Errorf("decode horizon: version %d, %d jobs spared: not what a gateway writes", h.Version, len(h.Spared))
	}
	return h, nil
}

const horizonKey = ".horizon"

// HorizonKey is the key of a tenant's [Horizon] in the bucket of history.
func HorizonKey(tenant string) string { return tenant + horizonKey }

// ParseHorizonKey takes such a key apart; ok is false of any other.
func ParseHorizonKey(key string) (tenant string, ok bool) {
	tenant, ok = strings.CutSuffix(key, horizonKey)
	return tenant, ok && ValidToken(tenant)
}
