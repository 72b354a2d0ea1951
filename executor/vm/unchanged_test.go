package vm_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/qemu/sparse"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/schemas"
)

// TestClonesLeaveTheSnapshot runs a job that fills memory in each of 20 clones, or of 100 with PE_LONG=1: neither the snapshot's
// file, nor any of the sealed copies that the machines had for memory, has changed by a bit. It is
// not parallel: it looks at all the copies that this process has.
func TestClonesLeaveTheSnapshot(t *testing.T) {
	dir := t.TempDir()
	host, _ := newHost(t, dir, nil)
	r := newRunner(t, host)
	shape := shapeOf(t, image(t, "busybox"))
	snap, _, err := r.Snapshot(t.Context(), shape)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	m := snap.Manifest()
	path := filepath.Join(dir, "ready", m.ID, "ram")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	begun, copies := time.Now(), copiesOf{size: m.RAM.Size, seen: map[uint64]*os.File{}}
	defer copies.close()
	const atOnce = 4
	all := atLeast(20, 100)
	for i := 0; i < all; i += atOnce {
		var batch sync.WaitGroup
		for n := i; n < i+atOnce; n++ {
			batch.Go(func() { dirty(t, r, withName(shape, fmt.Sprint("clone-", n))) })
		}
		batch.Wait()
		copies.look(t)
	}
	t.Logf("%d clones in %v, %d copies of %d MiB", all, time.Since(begun).Round(time.Millisecond), len(copies.seen), m.RAM.Size>>20)
	copies.compare(t, m.RAM)
	ram, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ram.Close()
	if got, err := sparse.Digest(ram, m.RAM.Size); err != nil || got != m.RAM.SHA256 {
		t.Errorf("the snapshot's memory has digest %s, %v, want %s", got, err, m.RAM.SHA256)
	}
	after, err := ram.Stat()
	if err != nil || after.ModTime() != before.ModTime() || after.Size() != before.Size() || blocks(after) != blocks(before) {
		t.Errorf("the snapshot's file was written to: %v, before %v, %v", after, before, err)
	}
}

// dirty runs a job that writes to some 20 MiB of its machine's memory, most of it untouched before.
func dirty(t *testing.T, r *vm.Runner, shape executor.Shape) {
	m, err := r.Start(t.Context(), shape)
	if err != nil {
		t.Error(err)
		return
	}
	defer m.Close()
	got, want := "", fmt.Sprintf("%d\n%s\n", 8<<20, shape.Name)
	ended, err := m.Run(t.Context(), executor.Work{
		Job:    shellJob("for i in 1 2 3 4 5 6 7 8; do cat /bin/busybox /bin/busybox; done > /tmp/x; head -c 8m /dev/zero > /dev/shm/y; stat -c %s /dev/shm/y; hostname"),
		Stdout: func(p []byte) { got += string(p) }, Stderr: func([]byte) {}, Stage: func(string) {},
	})
	if err != nil || got != want || ended.Start != schemas.StartRestored {
		t.Errorf("%s: %s, says %q, %v, want %q", shape.Name, ended.Start, got, err, want)
	}
}

// copiesOf collects the sealed copies of a snapshot's memory that this process has, before it lets go of them.
type copiesOf struct {
	size int64
	seen map[uint64]*os.File // by inode
}

func (c *copiesOf) look(t *testing.T) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		path := "/proc/self/fd/" + fd.Name()
		if target, err := os.Readlink(path); err != nil || !strings.HasPrefix(target, "/memfd:pe-ram") {
			continue
		}
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		inode := info.Sys().(*syscall.Stat_t).Ino
		if c.seen[inode] != nil || info.Size() != c.size {
			f.Close()
			continue
		}
		c.seen[inode] = f
	}
}

func (c *copiesOf) compare(t *testing.T, want snapshot.File) {
	t.Helper()
	if len(c.seen) == 0 {
		t.Error("no copy was seen")
	}
	for inode, f := range c.seen {
		if got, err := sparse.Digest(f, want.Size); err != nil || got != want.SHA256 {
			t.Errorf("copy %d has digest %s, %v, want %s", inode, got, err, want.SHA256)
		}
	}
}

func (c *copiesOf) close() {
	for _, f := range c.seen {
		f.Close()
	}
}

func blocks(info os.FileInfo) int64 { return info.Sys().(*syscall.Stat_t).Blocks }
