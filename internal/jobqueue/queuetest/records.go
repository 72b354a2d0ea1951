package queuetest

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Records counts what the server has appended to the files of its streams:
// messages, and the tombstones of those that were removed before their time. As
// the server syncs always, each was a synced write. Only files that are still
// there count: the server deletes one that holds no message any more.
func (s *Server) Records(t testing.TB) (n int) {
	t.Helper()
	err := filepath.WalkDir(s.options.StoreDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".blk" {
			return err
		}
		data, err := os.ReadFile(path)
		n += records(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// records counts those of a file: each begins with its length, whose top bit is a flag.
func records(data []byte) (n int) {
	for len(data) >= 4 {
		length := int(binary.LittleEndian.Uint32(data) &^ (1 << 31))
		if length == 0 || length > len(data) {
			break
		}
		data = data[length:]
		n++
	}
	return n
}
