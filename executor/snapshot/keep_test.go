package snapshot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFlippedBit finds one in each file, also in what was a hole.
func TestFlippedBit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	rootfs, key := image(t, "an image")
	snap, id := get(t, s, key, rootfs, pretend)
	for name, at := range map[string]int64{ramFile: 5 << 20, ramFile + " ": 1 << 20, stateFile: 2, rootfsFile: 3} {
		flip := func() {
			t.Helper()
			f, err := os.OpenFile(filepath.Join(dir, readyDir, id, strings.TrimSpace(name)), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var b [1]byte
			if _, err := f.ReadAt(b[:], at); err != nil {
				t.Fatal(err)
			}
			b[0] ^= 4
			if _, err := f.WriteAt(b[:], at); err != nil {
				t.Fatal(err)
			}
		}
		flip()
		if err := s.Verify(t.Context(), id); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), strings.TrimSpace(name)+" has") {
			t.Errorf("%s: %v", name, err)
		}
		flip()
		if err := s.Verify(t.Context(), id); err != nil {
			t.Errorf("%s mended: %v", name, err)
		}
	}
	_ = snap
}

func TestBrokenIsBakedAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rootfs, key := image(t, "an image")
	_, id := func() (*Snapshot, string) {
		s := openStore(t, dir)
		snap, id := get(t, s, key, rootfs, pretend)
		snap.Release()
		return snap, id
	}()
	s := openStore(t, dir)
	for name, harm := range map[string]func(path string) error{
		"cut memory":  func(p string) error { return os.Truncate(filepath.Join(p, ramFile), 4096) },
		"no state":    func(p string) error { return os.Remove(filepath.Join(p, stateFile)) },
		"no lock":     func(p string) error { return os.Remove(filepath.Join(p, useFile)) },
		"manifest":    func(p string) error { return os.WriteFile(filepath.Join(p, manifestFile), []byte("{}"), 0o600) },
		"lost rootfs": func(p string) error { return os.Remove(filepath.Join(p, rootfsFile)) },
	} {
		if err := harm(filepath.Join(dir, readyDir, id)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Acquire(t.Context(), id); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v, want ErrBroken", name, err)
		}
		snap, baked, err := s.Get(t.Context(), key, rootfs, pretend)
		if err != nil || !baked {
			t.Fatalf("%s: baked %v, %v", name, baked, err)
		}
		snap.Release()
		if got := names(t, dir, brokenDir); !slices.Equal(got, []string{id}) {
			t.Errorf("%s: set aside: %v", name, got)
		}
	}
}

// TestSetAside takes a snapshot from under its users.
func TestSetAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	rootfs, key := image(t, "an image")
	first, id := get(t, s, key, rootfs, pretend)
	if done, err := first.SetAside(errors.New("QEMU ended")); err != nil || !done {
		t.Fatal(done, err)
	}
	second, baked, err := s.Get(t.Context(), key, rootfs, pretend)
	if err != nil || !baked {
		t.Fatalf("baked %v, %v", baked, err)
	}
	defer second.Release()
	if _, done, err := first.o.use(); err != nil {
		t.Errorf("who has it may go on: %v", err)
	} else {
		done()
	}
	if done, err := first.SetAside(errors.New("once more")); err != nil || done || !exists(s.readyPath(id)) {
		t.Errorf("the new one was set aside for the old one's fault: %v, %v", done, err)
	}
	first.Release()
	if err := s.Remove(id); !errors.Is(err, ErrInUse) {
		t.Errorf("the release of the old one freed the new one: %v", err)
	}
}

// TestSetAsideByAnother: who still has the old one gets the new one next, as soon as it
// found the old one to be broken.
func TestSetAsideByAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours, theirs := openStore(t, dir), openStore(t, dir)
	rootfs, key := image(t, "an image")
	old, id := get(t, ours, key, rootfs, pretend)
	theirOld, _ := get(t, theirs, key, rootfs, never)
	if _, err := theirOld.SetAside(errors.New("QEMU ended")); err != nil {
		t.Fatal(err)
	}
	get(t, theirs, key, rootfs, pretend)
	if done, err := old.SetAside(errors.New("QEMU ended here, too")); err != nil || !done || !exists(ours.readyPath(id)) {
		t.Errorf("done %v, %v", done, err)
	}
	if again, _ := get(t, ours, key, rootfs, never); again.o == old.o {
		t.Error("the broken one is still in use")
	}
}

func TestRemoveAndCollect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	var ids []string
	rootfs, key := image(t, "bad")
	bad, badID := get(t, s, key, rootfs, pretend)
	if _, err := bad.SetAside(errors.New("QEMU ended")); err != nil {
		t.Fatal(err)
	}
	bad.Release()
	for i, content := range []string{"first", "second", "third"} {
		rootfs, key := image(t, content)
		snap, id := get(t, s, key, rootfs, pretend)
		snap.Release()
		ids = append(ids, id)
		used := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(filepath.Join(dir, readyDir, id, useFile), used, used); err != nil {
			t.Fatal(err)
		}
	}
	other := openStore(t, dir)
	oldest, err := other.Acquire(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.List()
	if err != nil || len(all) != 3 {
		t.Fatalf("%d snapshots, %v", len(all), err)
	}
	// The first was used just now.
	for i, want := range []int{1, 2, 0} {
		if all[i].ID != ids[want] || all[i].InUse != (want == 0) || all[i].Err != nil || all[i].Bytes <= 0 || all[i].Bytes > 64<<10 {
			t.Errorf("%d: %+v", i, all[i])
		}
	}
	if err := s.Remove(ids[0]); !errors.Is(err, ErrInUse) {
		t.Errorf("remove one that another process uses: %v", err)
	}
	if c, err := s.GC(t.Context(), 1<<40); err != nil || len(c.Removed) > 0 || c.Kept < all[0].Bytes*3 {
		t.Errorf("collected within the budget: %+v, %v", c, err)
	}
	if c, err := s.GC(t.Context(), all[0].Bytes*3); err != nil || !slices.Equal(c.Removed, []string{badID}) || len(names(t, dir, brokenDir)) > 0 {
		t.Errorf("collected %+v, %v, want what was set aside", c, err)
	}
	if c, err := s.GC(t.Context(), all[0].Bytes*2); err != nil || !slices.Equal(c.Removed, ids[1:2]) || c.Kept > all[0].Bytes*2 {
		t.Errorf("collected %+v, %v, want %s", c, err, ids[1])
	}
	if c, err := s.GC(t.Context(), 0); err != nil || !slices.Equal(c.Removed, ids[2:]) || c.Kept == 0 {
		t.Errorf("collected %+v, %v, want %s", c, err, ids[2])
	}
	oldest.Release()
	if err := s.Remove(ids[0]); err != nil {
		t.Error(err)
	}
	if err := s.Remove(ids[0]); !errors.Is(err, ErrNotFound) {
		t.Errorf("remove again: %v", err)
	}
	if left := append(names(t, dir, readyDir), names(t, dir, bakingDir)...); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestPinnedImageCounts: an image that the cache has given up, and several snapshots keep, is
// on the disk for their sake.
func TestPinnedImageCounts(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	rootfs, key := image(t, strings.Repeat("image", 1<<20))
	for i := range int64(2) {
		key.Recipe = []string{"-smp", fmt.Sprint(i)}
		snap, _ := get(t, s, key, rootfs, pretend)
		snap.Release()
	}
	const imageBytes = 4 << 20 // at least
	collect := func(budget int64, removed int) Collected {
		t.Helper()
		c, err := s.GC(t.Context(), budget)
		if err != nil || len(c.Removed) != removed {
			t.Fatalf("collected %+v, %v, want %d removed", c, err, removed)
		}
		return c
	}
	if c := collect(1<<40, 0); c.Kept > imageBytes {
		t.Errorf("the cache has the image, too: %+v", c)
	}
	if err := os.Remove(rootfs); err != nil {
		t.Fatal(err)
	}
	kept := collect(1<<40, 0).Kept
	if kept < imageBytes || kept > 2*imageBytes {
		t.Errorf("%d bytes are kept, with one image", kept)
	}
	plan, err := s.Plan(t.Context(), 0)
	if err != nil || plan.Freed != kept || plan.Kept != 0 {
		t.Errorf("planned %+v, %v", plan, err)
	}
	if c := collect(kept-1, 1); c.Freed > imageBytes {
		t.Errorf("one of two frees the image: %+v", c)
	}
	if c := collect(0, 1); c.Freed < imageBytes || c.Kept != 0 {
		t.Errorf("the last one does not free the image: %+v", c)
	}
}

// TestSparse keeps a machine of 8 GiB in the space of its touched pages.
func TestSparse(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	rootfs, key := image(t, "an image")
	key.Memory = 8 << 30
	snap, id := get(t, s, key, rootfs, grown(func(d Draft) error { return d.RAM.Truncate(8 << 30) }))
	info, ok := s.inspect(id)
	if !ok || info.Bytes > 64<<10 {
		t.Errorf("8 GiB with one page take %d bytes", info.Bytes)
	}
	tmpl, done, err := snap.o.use()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if tmpl.Size() != 8<<30 || tmpl.Resident() != 4096 {
		t.Errorf("template of %d bytes, %d resident", tmpl.Size(), tmpl.Resident())
	}
	again, doneAgain, err := snap.o.use()
	if err != nil || again != tmpl {
		t.Fatalf("the second user has a template of its own: %v", err)
	}
	doneAgain()
	into := filepath.Join(t.TempDir(), "clone")
	ways, err := snap.Clone(into)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("cloned by %v", ways)
	if ways[ramFile] == Linked || ways[rootfsFile] != Linked {
		t.Errorf("cloned by %v", ways)
	}
	if used := diskUsage(into); used > 64<<10 {
		t.Errorf("the clone takes %d bytes", used)
	}
	f, err := os.Open(filepath.Join(into, ramFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := digestRAM(f); err != nil || got != snap.Manifest().RAM {
		t.Errorf("the clone has %+v, want %+v, %v", got, snap.Manifest().RAM, err)
	}
}
