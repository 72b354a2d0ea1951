package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor/qemu/sparse"
)

// bakedGuest is a template of the test guest, and what it was made from.
type bakedGuest struct {
	config     Config // to restore it with
	ram, state *os.File
	*Template
}

// bakeGuest bakes the test guest, which has kept "apples", with one disk.
func bakeGuest(t testing.TB) bakedGuest {
	t.Helper()
	dir := t.TempDir()
	b := bakedGuest{ram: createFile(t, dir, "ram"), state: createFile(t, dir, "state")}
	c := needGuest(t).config()
	c.User, c.RAM = SlotUser(20), b.ram
	c.Disks = []Disk{{Name: "inputs", File: createFile(t, dir, "placeholder"), Size: 4096}}
	giveTo(t, b.ram, c.User)
	m, talk := boot(t, c)
	if got := talk.ask("keep apples"); got != "apples" {
		t.Fatalf("guest keeps %q", got)
	}
	start := time.Now()
	if err := m.Bake(t.Context(), b.state); err != nil {
		t.Fatal(err)
	}
	t.Logf("saved in %v", time.Since(start))
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	var err error
	if b.Template, err = Load(b.ram, b.state); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Template.Close() })
	info, _ := b.state.Stat()
	t.Logf("loaded in %v: %d MiB of memory, %d bytes of state", time.Since(start), b.Resident()>>20, info.Size())
	c.RAM, c.Kernel, c.Initramfs, c.User = nil, "", "", nil
	b.config = c
	return b
}

func createFile(t testing.TB, dir, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func giveTo(t testing.TB, f *os.File, user *Credential) {
	t.Helper()
	if user == nil {
		return
	}
	if err := f.Chown(int(user.UID), int(user.GID)); err != nil {
		t.Fatal(err)
	}
}

// clone restores b as the n-th slot's user, with a disk of its own.
func (b bakedGuest) clone(t testing.TB, n int) (*Machine, *talk, *os.File) {
	t.Helper()
	c := b.config
	c.User = SlotUser(21 + n)
	disk := createFile(t, t.TempDir(), "disk")
	if err := disk.Truncate(4096); err != nil {
		t.Fatal(err)
	}
	c.Disks = []Disk{{Name: "inputs", File: disk}}
	m, err := Restore(t.Context(), c, b.Template)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m, newTalk(t, m), disk
}

func digestOf(t testing.TB, f *os.File, size int64) string {
	t.Helper()
	d, err := sparse.Digest(f, size)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRestore(t *testing.T) {
	t.Parallel()
	b := bakeGuest(t)
	start := time.Now()
	m, talk, disk := b.clone(t, 0)
	if got := talk.ask("recall"); got != "apples" {
		t.Errorf("restored guest recalls %q", got)
	}
	t.Logf("first reply after %v", time.Since(start))
	// Filled after the restore, as an executor does when it knows the job. The
	// disk that the guest was baked with has eight sectors.
	if _, err := disk.WriteAt([]byte("my own disk"), 0); err != nil {
		t.Fatal(err)
	}
	if err := m.ResizeDisk(t.Context(), "inputs", 1<<20); err != nil {
		t.Fatal(err)
	}
	if got := talk.ask("size inputs"); got != "2048" {
		t.Errorf("resized disk has %s sectors, want 2048", got)
	}
	if got := talk.ask("head inputs"); got != "my own disk" {
		t.Errorf("the machine's own disk begins with %q", got)
	}
	if err := m.Bake(t.Context(), createFile(t, t.TempDir(), "state")); !errors.Is(err, ErrNotBakeable) {
		t.Errorf("baking a restored machine, whose memory nobody else has: %v", err)
	}
}

// TestBakeAgain restores a machine with a memory of its own, and bakes what became of it.
func TestBakeAgain(t *testing.T) {
	t.Parallel()
	b := bakeGuest(t)
	before := digestOf(t, b.ram, b.size)
	dir := t.TempDir()
	again := bakedGuest{config: b.config, ram: createFile(t, dir, "ram"), state: createFile(t, dir, "state")}
	c := b.config
	c.User, c.RAM = SlotUser(28), again.ram
	if _, err := Restore(t.Context(), c, b.Template); err == nil {
		t.Fatal("restored with an empty memory")
	}
	if _, err := sparse.Copy(again.ram, b.ram, b.size); err != nil {
		t.Fatal(err)
	}
	giveTo(t, again.ram, c.User)
	m, err := Restore(t.Context(), c, b.Template)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	talk := newTalk(t, m)
	if talk.ask("recall") != "apples" || talk.ask("keep pears") != "pears" {
		t.Error("the restored guest is another")
	}
	if err := m.Bake(t.Context(), again.state); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if again.Template, err = Load(again.ram, again.state); err != nil {
		t.Fatal(err)
	}
	defer again.Template.Close()
	for n, baked := range []bakedGuest{b, again} {
		_, talk, _ := baked.clone(t, 8+n)
		if got, want := talk.ask("recall"), []string{"apples", "pears"}[n]; got != want {
			t.Errorf("clone of bake %d recalls %q, want %q", n, got, want)
		}
	}
	if digestOf(t, b.ram, b.size) != before {
		t.Error("the second bake changed the first")
	}
}

// TestClonesArePrivate restores several at once: each has its own memory,
// descriptors and position in the state, and none changes the template.
func TestClonesArePrivate(t *testing.T) {
	t.Parallel()
	b := bakeGuest(t)
	ram := digestOf(t, b.Template.ram, b.size)
	if ram != digestOf(t, b.ram, b.size) {
		t.Fatal("the template is not a copy of the file")
	}
	const rounds, atOnce = 10, 2
	for round := range rounds {
		machines, talks := make([]*Machine, atOnce), make([]*talk, atOnce)
		var all sync.WaitGroup
		for i := range atOnce {
			all.Go(func() { machines[i], talks[i], _ = b.clone(t, i) })
		}
		all.Wait()
		for i, k := range talks {
			want := fmt.Sprintf("%d-%d", round, i)
			if k.ask("recall") != "apples" || k.ask("keep %s", want) != want || k.ask("dirty 8") != "8" {
				t.Errorf("clone %s can't keep what is its own", want)
			}
		}
		if grown := b.Grown(); grown > 64<<20 {
			t.Errorf("the template has grown by %d MiB", grown>>20)
		}
		for i, k := range talks {
			if got, want := k.ask("recall"), fmt.Sprintf("%d-%d", round, i); got != want {
				t.Errorf("clone %s recalls %q", want, got)
			}
		}
		for _, m := range machines {
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if digestOf(t, b.Template.ram, b.size) != ram || digestOf(t, b.ram, b.size) != ram {
		t.Errorf("%d clones changed the memory that they were restored from", rounds*atOnce)
	}
}

// TestTemplateGrows fills a machine's memory: what that costs twice must be seen.
func TestTemplateGrows(t *testing.T) {
	t.Parallel()
	b := bakeGuest(t)
	m, talk, _ := b.clone(t, 12)
	if grown := b.Grown(); grown > 8<<20 {
		t.Errorf("the template grew by %d MiB in a restore", grown>>20)
	}
	talk.ask("dirty 100")
	u, err := m.Usage()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("100 MiB written: the template grew by %d MiB, the machine has %d MiB (PSS %d)", b.Grown()>>20, u.RSS>>20, u.PSS>>20)
	if b.Grown() < 50<<20 {
		t.Skip("this kernel leaves holes as they are: renewing the template is not needed here")
	}
}

// TestRestoreFails gives QEMU states that it can't use.
func TestRestoreFails(t *testing.T) {
	t.Parallel()
	b := bakeGuest(t)
	info, err := b.state.Stat()
	if err != nil {
		t.Fatal(err)
	}
	whole := make([]byte, info.Size())
	if _, err := b.state.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"cut":     whole[:len(whole)/2],
		"garbage": bytes.Repeat([]byte("garbage"), 1000),
	} {
		f := createFile(t, t.TempDir(), "state")
		if _, err := f.Write(content); err != nil {
			t.Fatal(err)
		}
		broken, err := Load(b.ram, f)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		m, err := Restore(t.Context(), b.config, broken)
		if err == nil {
			_ = m.Close()
		}
		if err == nil || time.Since(start) > restoreTimeout/2 || !strings.Contains(err.Error(), "QEMU ended") {
			t.Errorf("%s: %v after %v", name, err, time.Since(start))
		}
		_ = broken.Close()
	}
	if _, err := Load(b.ram, createFile(t, t.TempDir(), "empty")); err == nil {
		t.Error("an empty state was loaded")
	}
	c := b.config
	c.Memory *= 2
	if _, err := Restore(t.Context(), c, b.Template); err == nil {
		t.Error("restored with more memory than was baked")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if m, err := Restore(ctx, b.config, b.Template); err == nil {
		_ = m.Close()
		t.Error("restored under an ended context")
	}
}
