package dir_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/dir"
)

// A full disk is a clear error, leaves nothing, and is over when there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size=1m"); err != nil {
		if os.Getenv("PE_REQUIRE_ALL") == "1" {
			t.Fatalf("mount a small tmpfs (run the tests as root): %v", err)
		}
		t.Skipf("can't mount a small tmpfs, which needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, 0); err != nil {
			t.Error(err)
		}
	})
	s, err := dir.Open(dir.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, size := range []int64{2 << 20, -1} {
		_, err = s.Put(t.Context(), "a/big", bytes.NewReader(make([]byte, 2<<20)), objstore.PutOptions{Size: size})
		if !errors.Is(err, objstore.ErrFull) {
			t.Errorf("got %v", err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(path, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	put(t, s, "a/small", "fits")
}
