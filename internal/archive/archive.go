// Package archive is the one archive format, plain tar: how a job's inputs get
// into its machine and how its outputs leave it. Package atrest below it is
// what outputs look like in the object store.
//
// The guest's init links this package, so it uses the standard library only.
// It knows trees of files and limits. It must not know jobs (schemas), nor
// where archives are kept.
package archive

import (
	"fmt"
	"time"
)

// Defaults of Limits.
const (
	DefaultMaxBytes   = 4 << 30
	DefaultMaxEntries = 131072
	DefaultMaxPath    = 4095 // Linux's PATH_MAX without its terminator
	DefaultMaxDepth   = 128
)

// Limits bound what an archive may hold. Zero fields mean the defaults above.
type Limits struct {
	// MaxBytes is the content of all files together, in bytes. A sparse file
	// counts with its full length.
	MaxBytes int64
	// MaxEntries is the number of files, folders and links.
	MaxEntries int
	// MaxPath is the length of a name, and of a link's target, in bytes.
	MaxPath int
	// MaxDepth is the number of segments of a name.
	MaxDepth int
}

// WithDefaults fills the zero fields.
func (l Limits) WithDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = DefaultMaxBytes
	}
	if l.MaxEntries <= 0 {
		l.MaxEntries = DefaultMaxEntries
	}
	if l.MaxPath <= 0 {
		l.MaxPath = DefaultMaxPath
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = DefaultMaxDepth
	}
	return l
}

// ArchiveSize is the largest plain tar in bytes that keeps the limits: content,
// headers, padding and trailer. A disk that Pack writes to never needs more.
func (l Limits) ArchiveSize() int64 {
	l = l.WithDefaults()
	// An entry is at most an extended header (a block, its records: path, link,
	// size, times), its own block, and the padding of its content.
	perEntry := int64(4*512 + 2*l.MaxPath + 1024)
	return l.MaxBytes + int64(l.MaxEntries)*perEntry + 1024
}

// What was too much, in LimitError.
const (
	LimitBytes   = "bytes"
	LimitEntries = "entries"
	LimitPath    = "path length"
	LimitDepth   = "path depth"
	LimitArchive = "archive bytes"
)

// LimitError says which limit stopped the work.
type LimitError struct {
	What string // one of the Limit constants
	Max  int64
	Path string // the entry, if it was one
}

func (e *LimitError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("archive exceeds its limit of %d %s", e.Max, e.What)
	}
	return fmt.Sprintf("archive exceeds its limit of %d %s at %q", e.Max, e.What, e.Path)
}

// RefusedError says which entry of a hostile archive was not accepted, and why.
type RefusedError struct {
	Path   string
	Reason string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("archive entry %q refused: %s", e.Path, e.Reason)
}

// Owner is a numeric user and group.
type Owner struct{ UID, GID int }

// Remark is a sentence about one entry. Path is as it was found, maybe not UTF-8.
type Remark struct{ Path, Reason string }

// MaxRemarks is the length at which lists of remarks stop growing; totals go on.
const MaxRemarks = 100

// Stats counts what went into or came out of an archive.
type Stats struct {
	Files, Dirs, Symlinks, Hardlinks int
	Bytes                            int64 // content of files
	// Skipped are entries that were left out, the first MaxRemarks of SkippedTotal.
	Skipped      []Remark
	SkippedTotal int
	// Changed are files whose length changed while they were read.
	Changed      []Remark
	ChangedTotal int
}

// Entries is the number of all entries.
func (s *Stats) Entries() int { return s.Files + s.Dirs + s.Symlinks + s.Hardlinks }

func (s *Stats) skip(path, reason string) {
	s.SkippedTotal++
	if len(s.Skipped) < MaxRemarks {
		s.Skipped = append(s.Skipped, Remark{path, reason})
	}
}

func (s *Stats) changed(path, reason string) {
	s.ChangedTotal++
	if len(s.Changed) < MaxRemarks {
		s.Changed = append(s.Changed, Remark{path, reason})
	}
}

// Bounds of the times that are kept: those that every format can hold.
const (
	minTime = 0
	maxTime = 253402300799 // the end of year 9999
)

// ClampTime gives t in whole seconds between 1970 and 9999, in UTC: times come
// from hostile files and headers.
func ClampTime(t time.Time) time.Time {
	return time.Unix(min(max(t.Unix(), minTime), maxTime), 0).UTC()
}
