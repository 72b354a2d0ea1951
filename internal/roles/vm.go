package roles

import "path/filepath"

// SnapshotDir is the store of baked machines within a data directory. Several
// processes may use it.
func SnapshotDir(dataDir string) string { return filepath.Join(dataDir, "snapshots") }
