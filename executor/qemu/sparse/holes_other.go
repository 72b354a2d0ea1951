//go:build !linux

package sparse

import "os"

// data takes all for data: reading holes is slow, not wrong.
func data(_ *os.File, at, size int64) (begin, end int64) { return at, size }

func punch(_ *os.File, _, _ int64) error { return nil }
