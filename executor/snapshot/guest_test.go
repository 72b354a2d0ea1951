package snapshot_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// cached finds what deploy/setup.sh and make guest leave, or ends the test.
func cached(t testing.TB, elem ...string) string {
	t.Helper()
	dir := os.Getenv("PE_CACHE")
	if dir == "" {
		dir = "../../.cache"
	}
	path, err := filepath.Abs(filepath.Join(append([]string{dir}, elem...)...))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		if os.Getenv("PE_REQUIRE_ALL") == "1" {
			t.Fatalf("%v: run make setup build", err)
		}
		t.Skipf("%v: run make setup build", err)
	}
	return path
}

// guest is a machine with the project's own guest and the busybox image.
type guest struct {
	store  *snapshot.Store
	config qemu.Config // without disks, user and memory file
	rootfs string
	key    snapshot.Key
}

func newGuest(t testing.TB) guest { t.Helper(); return newGuestOf(t, 256<<20) }

func newGuestOf(t testing.TB, memory int64) guest {
	t.Helper()
	if _, err := qemu.FindBinary("amd64"); err != nil {
		if os.Getenv("PE_REQUIRE_ALL") == "1" {
			t.Fatalf("%v: install the package qemu-system-x86", err)
		}
		t.Skipf("%v: install the package qemu-system-x86", err)
	}
	b, err := vm.LoadBundle(cached(t, "guest"), "amd64")
	if err != nil {
		t.Fatal(err)
	}
	store, err := snapshot.Open(snapshot.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	g := guest{store: store, rootfs: busybox(t), config: qemu.Config{
		Arch: "amd64", Memory: memory,
		Kernel: b.Kernel(), Initramfs: b.Initramfs(),
	}}
	if g.config.CounterKHz, err = store.ClockRate(qemu.CounterKHz()); err != nil {
		t.Fatal(err)
	}
	if g.config.Binary, err = qemu.FindBinary("amd64"); err != nil {
		t.Fatal(err)
	}
	described := g.config
	described.Disks = disks(t, g.rootfs, nil)
	recipe, err := qemu.Recipe(described)
	if err != nil {
		t.Fatal(err)
	}
	g.key = snapshot.Key{
		Recipe: recipe, Memory: g.config.Memory, QEMU: content(t, g.config.Binary),
		Kernel: snapshot.File{SHA256: b.KernelSHA256}, Initramfs: snapshot.File{SHA256: b.InitramfsSHA256},
		Rootfs: content(t, g.rootfs),
		Warmup: []snapshot.Warmup{{Argv: []string{"sh", "-c", "echo warm"}}},
	}
	return g
}

func busybox(t testing.TB) string {
	t.Helper()
	cache, err := imagesync.Open(imagesync.CacheConfig{Dir: t.TempDir(), Sources: imagesync.Sources{AllowPaths: true}})
	if err != nil {
		t.Fatal(err)
	}
	reference := "oci:" + cached(t, "images", "busybox")
	resolved, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: imagesync.Sources{AllowPaths: true}}).Resolve(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	image, err := cache.Get(t.Context(), reference, resolved.Digest, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(image.Release)
	return image.ErofsPath
}

func content(t testing.TB, path string) snapshot.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.File{SHA256: hex.EncodeToString(h.Sum(nil)), Size: n}
}

// disks are those of a machine: root is an open file, or else the path.
func disks(t testing.TB, path string, root *os.File) []qemu.Disk {
	t.Helper()
	all := []qemu.Disk{{Name: "root", Path: path, ReadOnly: true}}
	if root != nil {
		all[0].Path, all[0].File = "", root
	}
	for _, name := range []string{"input", "output"} {
		f, err := os.CreateTemp(t.TempDir(), name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		all = append(all, qemu.Disk{Name: name, File: f, Size: 4096})
	}
	return all
}

// bake boots the guest, mounts its image, runs the warm-up, and saves it.
func (g guest) bake(t testing.TB) snapshot.Bake {
	return func(ctx context.Context, d snapshot.Draft) (json.RawMessage, error) {
		c := g.config
		c.RAM, c.User, c.Disks = d.RAM, qemu.SlotUser(60), disks(t, d.Rootfs, nil)
		m, err := qemu.Boot(ctx, c)
		if err != nil {
			return nil, err
		}
		s, _, err := session.Open(ctx, m.Channel(), session.Options{})
		if err == nil {
			err = s.Identify(ctx, identity("template"))
		}
		if err == nil {
			err = s.Mount(ctx, guestproto.Rootfs{FS: guestproto.FSErofs, Serial: "root"})
		}
		if err == nil {
			_, err = run(ctx, s, "echo warm")
		}
		if err == nil { // answered when the guest has tidied up
			err = s.Identify(ctx, identity("template"))
		}
		if err == nil {
			err = m.Bake(ctx, d.State)
		}
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		note, err := json.Marshal(s.Runs())
		return note, errors.Join(err, m.Close())
	}
}

func identity(name string) guestproto.Identity {
	random := make([]byte, 80)
	_, _ = rand.Read(random)
	return guestproto.Identity{
		Entropy: random[:64], ClockNS: time.Now().UnixNano(), Hostname: name, MachineID: hex.EncodeToString(random[64:]),
	}
}

// personalise makes a restored machine unlike its siblings, and its clock right.
func personalise(ctx context.Context, s *session.Session, name string) error {
	took, err := s.Settle(ctx, 20*time.Millisecond, func() (guestproto.Identity, error) { return identity(name), nil })
	if err == nil && took > 50*time.Millisecond {
		err = fmt.Errorf("clock not settled within %v", took)
	}
	return err
}

// ran is what a command said, and when its program began and ended, by the host's clock.
type ran struct {
	words       []string
	begin, said time.Time
}

func run(ctx context.Context, s *session.Session, command string) (ran, error) {
	var r ran
	var out strings.Builder
	_, err := s.Run(ctx, session.Request{
		Job: &guestproto.Job{
			Argv: []string{"sh", "-c", command}, Env: []string{"PATH=/bin:/usr/bin"}, Cwd: "/",
			Limits: guestproto.Limits{WallMS: 60_000, Memory: 128 << 20, PIDs: 64, Scratch: 96 << 20, Output: 1 << 20, Log: 1 << 20},
			Input:  guestproto.Input{Via: guestproto.ViaNone}, Stdin: guestproto.Stdin{Via: guestproto.ViaNone},
			Output: guestproto.Output{Via: guestproto.ViaChannel},
		},
		Staged: func(at time.Time) { r.begin = at },
		Stdout: func(p []byte) { out.Write(p); r.said = time.Now() },
		Stderr: func(p []byte) { out.Write(p) },
	})
	r.words = strings.Fields(out.String())
	return r, err
}

// clone restores a machine of snap as the n-th user.
func (g guest) clone(t testing.TB, snap *snapshot.Snapshot, n int) (*qemu.Machine, *session.Session) {
	t.Helper()
	m, s, _ := g.cloneWithDisks(t, snap, n)
	return m, s
}

func (g guest) cloneWithDisks(t testing.TB, snap *snapshot.Snapshot, n int) (*qemu.Machine, *session.Session, map[string]*os.File) {
	t.Helper()
	c := g.config
	c.User, c.Disks = qemu.SlotUser(61+n), disks(t, "", snap.Rootfs())
	m, err := snap.Restore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	var o session.Options
	if err := json.Unmarshal(snap.Manifest().Note, &o.Runs); err != nil {
		t.Fatal(err)
	}
	files := map[string]*os.File{}
	for _, d := range c.Disks {
		files[d.Name] = d.File
	}
	return m, session.Resume(m.Channel(), o), files
}

// whoami prints what no two machines may share.
const whoami = "adjtimex | grep tv_; hostname; cat /etc/machine-id /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | md5sum | cut -c1-32"

// TestClones restores 20 machines, two at a time, and runs a job in each: it has numbers, names
// and the time of its own, and the snapshot stays what it is.
func TestClones(t *testing.T) {
	g := newGuest(t)
	snap, _, err := g.store.Get(t.Context(), g.key, g.rootfs, g.bake(t))
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	t.Logf("baked in %d ms, pinned by %s", snap.Manifest().BakeMS, snap.Manifest().Pin)
	const clones = 20
	said, clocks := make([]ran, clones), make([]ran, clones)
	for i := 0; i < clones; i += 2 {
		var pair sync.WaitGroup
		for _, n := range []int{i, i + 1} {
			pair.Go(func() {
				start := time.Now()
				m, s := g.clone(t, snap, n)
				restored := time.Now()
				err := personalise(t.Context(), s, fmt.Sprint("clone-", n))
				identified := time.Now()
				if err == nil {
					said[n], err = run(t.Context(), s, whoami)
				}
				if err == nil { // once more, since a short run brackets the clock better
					clocks[n], err = run(t.Context(), s, "adjtimex | grep tv_")
				}
				if err != nil {
					t.Errorf("clone %d: %v; console: %s", n, err, m.Console())
				}
				t.Logf("clone %d: restored %v, identified %v, ran %v", n, restored.Sub(start), identified.Sub(restored), time.Since(identified))
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		pair.Wait()
	}
	seen := map[string]int{}
	var off []time.Duration
	for n, r := range said {
		if len(r.words) != 4+5 {
			t.Fatalf("clone %d says %q", n, r.words)
		}
		if r.words[4] != fmt.Sprint("clone-", n) {
			t.Errorf("clone %d is called %q", n, r.words[4])
		}
		for _, w := range r.words[4:] {
			if other, ok := seen[w]; ok {
				t.Errorf("clones %d and %d both have %q", other, n, w)
			}
			seen[w] = n
		}
		off = append(off, clockError(t, r), clockError(t, clocks[n]))
	}
	slices.Sort(off)
	t.Logf("clocks are off by %v", off)
	if worst := max(-off[0], off[len(off)-1]); worst > 50*time.Millisecond {
		t.Errorf("a clock is off by %v", worst)
	}
	if err := g.store.Verify(t.Context(), snap.Manifest().ID); err != nil {
		t.Errorf("after %d clones: %v", clones, err)
	}
}

// clockError is by how much at least the guest's clock is wrong: it was read between two
// instants that the host knows.
func clockError(t *testing.T, r ran) time.Duration {
	t.Helper()
	seconds, err1 := strconv.ParseInt(r.words[1], 10, 64)
	micros, err2 := strconv.ParseInt(r.words[3], 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatalf("time %q", r.words[:4])
	}
	at := time.Unix(seconds, micros*1000)
	switch {
	case at.Before(r.begin):
		return at.Sub(r.begin)
	case at.After(r.said):
		return at.Sub(r.said)
	}
	return 0
}
