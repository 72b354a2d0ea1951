package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

const memory = 8 << 20

// image writes a root filesystem, and returns its path and the key of a machine with it.
func image(t testing.TB, content string) (string, Key) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.erofs")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path, keyOf(content)
}

func keyOf(content string) Key {
	file := func(s string) File {
		sum := sha256.Sum256([]byte(s))
		return File{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(s))}
	}
	return Key{
		Recipe: []string{"-m", "8M"}, Memory: memory,
		QEMU: file("qemu"), Kernel: file("kernel"), Initramfs: file("initramfs"), Rootfs: file(content),
	}
}

// pretend bakes no machine, but files like one's.
func pretend(_ context.Context, d Draft) (json.RawMessage, error) {
	if err := d.RAM.Truncate(memory); err != nil {
		return nil, err
	}
	if _, err := d.RAM.WriteAt([]byte("memory"), 5<<20); err != nil {
		return nil, err
	}
	_, err := d.State.WriteString("state")
	return json.RawMessage(`{"runs": 1}`), err
}

func never(context.Context, Draft) (json.RawMessage, error) {
	return nil, errors.New("baked once more")
}

// grown is pretend with more in it.
func grown(grow func(Draft) error) Bake {
	return func(ctx context.Context, d Draft) (json.RawMessage, error) {
		note, err := pretend(ctx, d)
		return note, errors.Join(err, grow(d))
	}
}

func openStore(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func get(t testing.TB, s *Store, key Key, rootfs string, bake Bake) (*Snapshot, string) {
	t.Helper()
	snap, _, err := s.Get(t.Context(), key, rootfs, bake)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(snap.Release)
	return snap, snap.Manifest().ID
}

func names(t testing.TB, elem ...string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestBakeOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rootfs, key := image(t, "an image")
	// Two stores on one folder are to each other like two processes.
	stores := []*Store{openStore(t, dir), openStore(t, dir)}
	var bakes, said atomic.Int32
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			snap, baked, err := stores[i%2].Get(t.Context(), key, rootfs, func(ctx context.Context, d Draft) (json.RawMessage, error) {
				bakes.Add(1)
				return pretend(ctx, d)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if baked {
				said.Add(1)
			}
			snap.Release()
		})
	}
	all.Wait()
	if bakes.Load() != 1 || said.Load() != 1 {
		t.Errorf("%d bakes, %d say that they baked", bakes.Load(), said.Load())
	}
	snap, id := get(t, openStore(t, dir), key, rootfs, never)
	for name, mode := range map[string]fs.FileMode{"": 0o700, ramFile: 0o400, stateFile: 0o400, manifestFile: 0o600} {
		info, err := os.Stat(filepath.Join(dir, readyDir, id, name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q: %v, mode %v, want %v", name, err, info.Mode(), mode)
		}
	}
	if content, err := os.ReadFile(snap.Rootfs().Name()); err != nil || string(content) != "an image" {
		t.Errorf("pinned root filesystem: %q, %v", content, err)
	}
	if left := names(t, dir, bakingDir); len(left) > 0 {
		t.Errorf("left of the bake: %v", left)
	}
	if err := stores[0].Verify(t.Context(), id); err != nil {
		t.Error(err)
	}
}

// TestTidyingIsNoFailure: who gets a snapshot has no error with it, or nobody would release it.
func TestTidyingIsNoFailure(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	rootfs, key := image(t, "an image")
	snap, baked, err := s.Get(t.Context(), key, rootfs, grown(func(Draft) error {
		id, err := key.ID()
		return errors.Join(err, os.Remove(s.bakeLock(id)))
	}))
	if err != nil || !baked {
		t.Fatalf("baked %v, %v", baked, err)
	}
	snap.Release()
}

// TestKey changes each input of a state.
func TestKey(t *testing.T) {
	t.Parallel()
	id := func(change func(*Key)) string {
		k := keyOf("image")
		change(&k)
		id, err := k.ID()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	seen := map[string]string{}
	other := strings.Repeat("ab", 32)
	for name, change := range map[string]func(*Key){
		"nothing":        func(*Key) {},
		"recipe":         func(k *Key) { k.Recipe = []string{"-m", "9M"} },
		"recipe's parts": func(k *Key) { k.Recipe = []string{"-m 8M"} },
		"memory":         func(k *Key) { k.Memory++ },
		"qemu":           func(k *Key) { k.QEMU.SHA256 = other },
		"kernel":         func(k *Key) { k.Kernel.SHA256 = other },
		"initramfs":      func(k *Key) { k.Initramfs.SHA256 = other },
		"rootfs":         func(k *Key) { k.Rootfs.SHA256 = other },
		"size":           func(k *Key) { k.Rootfs.Size++ },
		"warm-up":        func(k *Key) { k.Warmup = []Warmup{{Argv: []string{"gcc"}}} },
		"environment":    func(k *Key) { k.Warmup = []Warmup{{Argv: []string{"gcc"}, Env: []string{"A=b"}}} },
		"files":          func(k *Key) { k.Warmup = []Warmup{{Argv: []string{"gcc"}, Files: &File{other, 1}}} },
	} {
		id := id(change)
		if seen[id] != "" {
			t.Errorf("%s and %s have one id", name, seen[id])
		}
		seen[id] = name
		if again := func() string { k := keyOf("image"); change(&k); s, _ := k.ID(); return s }(); again != id {
			t.Errorf("%s: two ids, %s and %s", name, id, again)
		}
	}
	if _, err := (Key{}).ID(); err == nil {
		t.Error("an empty key has an id")
	}
}

func TestBakeFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	rootfs, key := image(t, "an image")
	wrong, _ := image(t, "an edited image")
	oops := errors.New("the guest is silent")
	for name, c := range map[string]struct {
		rootfs string
		bake   Bake
		want   string
	}{
		"the bake fails":  {rootfs, func(context.Context, Draft) (json.RawMessage, error) { return nil, oops }, oops.Error()},
		"nothing baked":   {rootfs, func(context.Context, Draft) (json.RawMessage, error) { return nil, nil }, "0 bytes of memory"},
		"no state":        {rootfs, func(_ context.Context, d Draft) (json.RawMessage, error) { return nil, d.RAM.Truncate(memory) }, "state has 0 bytes"},
		"another image":   {wrong, never, "want 8 with"},
		"no image":        {rootfs + "x", never, "no such file"},
		"a state of lies": {rootfs, grown(func(d Draft) error { return d.State.Truncate(maxState + 1) }), "state has"},
	} {
		snap, _, err := s.Get(t.Context(), key, c.rootfs, c.bake)
		if err == nil {
			snap.Release()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
		if left := append(names(t, dir, bakingDir), names(t, dir, readyDir)...); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	if _, err := s.Acquire(t.Context(), "../../etc"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestClockRate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct{ measured, want int64 }{
		{2_600_000, 2_600_000}, {2_600_130, 2_600_000}, {2_599_500, 2_600_000},
		{2_100_000, 2_100_000}, {2_100_100, 2_100_000}, {1_000_000, 1_000_000},
	} {
		if got, err := openStore(t, dir).ClockRate(c.measured); err != nil || got != c.want {
			t.Errorf("measured %d: settled %d, %v, want %d", c.measured, got, err, c.want)
		}
	}
}

func TestLockIsOfTheFileInPlace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := tryLock(path, os.O_RDWR|os.O_CREATE, unix.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tryLock(path, os.O_RDWR|os.O_CREATE, unix.LOCK_EX); !errors.Is(err, errLocked) {
		t.Errorf("locked twice: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := waitLock(ctx, path, os.O_RDWR|os.O_CREATE, unix.LOCK_EX); !errors.Is(err, context.Canceled) {
		t.Errorf("waited under an ended context: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := tryLock(path, os.O_RDWR|os.O_CREATE, unix.LOCK_EX)
	if err != nil {
		t.Fatalf("a removed file's lock is in the way: %v", err)
	}
	_, _ = first.Close(), second.Close()
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte("{}"), strings.Repeat("a", 64))
	f.Add([]byte(`{"id":"x","key":{"recipe":["-m"],"memory":1}}`), "x")
	f.Fuzz(func(t *testing.T, b []byte, id string) {
		if m, err := parseManifest(b, id); err == nil && (m.ID != id || m.State.Size > maxState) {
			t.Errorf("%q is no manifest of %q", b, id)
		}
	})
}
