package flatten

import (
	"fmt"
	"sync/atomic"
)

const (
	// maxName is the longest file name that Linux has, in bytes.
	maxName = 255
	// maxTarget is the longest symbolic link target that Linux has, in bytes.
	maxTarget = 4095
	// maxFollowed is how many symbolic links one path may lead through, as in Linux.
	maxFollowed = 40
	// maxXattrs bounds the extended attributes of one entry, names and values, in bytes.
	maxXattrs = 64 << 10
	// lookupsPerEntry bounds the work of resolving paths, as a mean over the
	// entries allowed. Without it, links that lead through long chains of
	// links cost a billion times what they weigh.
	lookupsPerEntry = 64
)

// Limits are the caps on what one image may cost. The zero value of each field
// means its default.
type Limits struct {
	// Bytes caps the uncompressed size of all layers together, and the size of
	// all files of the flattened tree. Default 16 GiB.
	Bytes int64
	// Entries caps the entries of all layers together, and the nodes of the
	// tree. An entry costs about 1 KiB of memory. Default 1,000,000.
	Entries int64
	// Names caps the bytes of all paths, link targets and extended attributes,
	// which are held in memory. Default 256 MiB.
	Names int64
	// Path caps one path, in bytes. Default 4096.
	Path int
	// Depth caps the folders of one path. Default 256.
	Depth int
}

// WithDefaults returns the limits in force.
func (l Limits) WithDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = 16 << 30
	}
	if l.Entries == 0 {
		l.Entries = 1_000_000
	}
	if l.Names == 0 {
		l.Names = 256 << 20
	}
	if l.Path == 0 {
		l.Path = 4096
	}
	if l.Depth == 0 {
		l.Depth = 256
	}
	return l
}

// LimitError says which cap an image would have exceeded.
type LimitError struct {
	// Cap names it: `uncompressed bytes`, `entries`, `path depth`, …
	Cap   string
	Limit int64
	// Path is the entry at which it was seen, where there is one.
	Path string
}

func (e *LimitError) Error() string {
	if e.Path != "" {
		return fmt.Sprintf("%.200q exceeds the limit of %d %s", e.Path, e.Limit, e.Cap)
	}
	return fmt.Sprintf("image exceeds the limit of %d %s", e.Limit, e.Cap)
}

// Budget is what is left of an image's limits. Layers that are read in parallel
// share one.
type Budget struct {
	limits                Limits
	bytes, entries, names atomic.Int64
}

// NewBudget returns a budget for one image.
func NewBudget(l Limits) *Budget { return &Budget{limits: l.WithDefaults()} }

func (b *Budget) addBytes(n int64, path string) error {
	return spend(&b.bytes, n, b.limits.Bytes, "uncompressed bytes", path)
}

func (b *Budget) addEntries(n int64, path string) error {
	return spend(&b.entries, n, b.limits.Entries, "entries", path)
}

func (b *Budget) addNames(n int64, path string) error {
	return spend(&b.names, n, b.limits.Names, "bytes of names", path)
}

func spend(used *atomic.Int64, n, limit int64, what, path string) error {
	// n may be near the largest int64: compare without adding.
	if n < 0 || n > limit || used.Add(n) > limit {
		return &LimitError{Cap: what, Limit: limit, Path: path}
	}
	return nil
}
