package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/program-explorer/pe/executor/qemu/sparse"
)

// Verify reads all of a snapshot and compares it with its manifest. It is ErrBroken, with
// what is wrong, if one bit differs. To verify a snapshot is no use of it, as far as GC goes.
func (s *Store) Verify(ctx context.Context, id string) error {
	snap, err := s.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer snap.Release()
	m, root := snap.Manifest(), snap.o.root
	checks := []func() error{
		func() error { return checkState(root, m.State) },
		func() error { return checkRAM(root, m.RAM) },
		func() error { return checkFile(root, rootfsFile, m.Key.Rootfs) },
	}
	var errs []error
	for _, check := range checks {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := check(); err != nil {
			errs = append(errs, ErrBroken, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("verify snapshot %s: %w", id, err)
	}
	return nil
}

func checkState(root *os.Root, want File) error { return checkFile(root, stateFile, want) }

func checkRAM(root *os.Root, want File) error {
	f, err := root.Open(ramFile)
	if err != nil {
		return err
	}
	defer f.Close()
	got, err := digestRAM(f)
	return compare(ramFile, got, want, err)
}

func checkFile(root *os.Root, name string, want File) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	got, err := digestFile(f)
	return compare(name, got, want, err)
}

func compare(name string, got, want File, err error) error {
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if got != want {
		return fmt.Errorf("%s has %d bytes with digest %s, want %d with %s", name, got.Size, got.SHA256, want.Size, want.SHA256)
	}
	return nil
}

func digestRAM(f *os.File) (File, error) {
	info, err := f.Stat()
	if err != nil {
		return File{}, err
	}
	digest, err := sparse.Digest(f, info.Size())
	return File{SHA256: digest, Size: info.Size()}, err
}

func digestFile(f *os.File) (File, error) {
	info, err := f.Stat()
	if err != nil {
		return File{}, err
	}
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(f, 0, info.Size()))
	return File{SHA256: hex.EncodeToString(h.Sum(nil)), Size: n}, err
}
