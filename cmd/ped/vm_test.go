package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/internal/roles"
)

// TestVMScripts works on stores whose snapshots are files like a machine's.
func TestVMScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  filepath.Join("testdata", "vm"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"bake": bakeFiles, "hold": holdSnapshot, "flip": flipBit},
	})
}

// bakeFiles is "bake DATA-DIR IMAGE…": each was used an hour before the next, and its id is in
// the environment under its name.
func bakeFiles(ts *testscript.TestScript, _ bool, args []string) {
	store, err := snapshot.Open(snapshot.Config{Dir: roles.SnapshotDir(ts.MkAbs(args[0]))})
	ts.Check(err)
	for i, name := range args[1:] {
		rootfs := ts.MkAbs(name + ".erofs")
		ts.Check(os.WriteFile(rootfs, []byte(name), 0o644))
		file := func(content string) snapshot.File {
			sum := sha256.Sum256([]byte(content))
			return snapshot.File{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content))}
		}
		snap, _, err := store.Get(context.Background(), snapshot.Key{
			Recipe: []string{"-m", "256M"}, Memory: 256 << 20,
			QEMU: file("qemu"), Kernel: file("kernel"), Initramfs: file("initramfs"), Rootfs: file(name),
		}, rootfs, func(_ context.Context, d snapshot.Draft) (json.RawMessage, error) {
			ts.Check(d.RAM.Truncate(256 << 20))
			_, err := d.RAM.WriteAt([]byte("memory"), 1<<20)
			ts.Check(err)
			_, err = d.State.WriteString("state")
			return fmt.Appendf(nil, `{"image":%q,"digest":"sha256:%s","arch":"amd64","cpus":2}`, name, file(name).SHA256), err
		})
		ts.Check(err)
		id := snap.Manifest().ID
		snap.Release()
		used := time.Now().Add(time.Duration(i-len(args)) * time.Hour)
		ts.Check(os.Chtimes(filepath.Join(roles.SnapshotDir(ts.MkAbs(args[0])), "ready", id, "use"), used, used))
		ts.Setenv(name, id)
		ts.Setenv(name+"12", short(id))
	}
}

// holdSnapshot is "hold DATA-DIR ID": it is in use until the script's end.
func holdSnapshot(ts *testscript.TestScript, _ bool, args []string) {
	store, err := snapshot.Open(snapshot.Config{Dir: roles.SnapshotDir(ts.MkAbs(args[0]))})
	ts.Check(err)
	snap, err := store.Acquire(context.Background(), args[1])
	ts.Check(err)
	ts.Defer(snap.Release)
}

// flipBit is "flip FILE OFFSET".
func flipBit(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	defer f.Close()
	var at int64
	_, err = fmt.Sscan(args[1], &at)
	ts.Check(err)
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	ts.Check(err)
	b[0] ^= 1
	_, err = f.WriteAt(b[:], at)
	ts.Check(err)
}

// golden compares with a file of testdata, and writes it if PE_GOLDEN is "write".
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if os.Getenv("PE_GOLDEN") == "write" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s\n(if that is meant: PE_GOLDEN=write)", path, got, want)
	}
}

func TestMachinesAsTable(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.Local)
	id := func(c string) string { return strings.Repeat(c, 64) }
	var out strings.Builder
	err := printMachines(&out, []machineInfo{
		{ID: id("1"), Image: "docker.io/library/gcc:14", Arch: "amd64", Memory: 1 << 30, CPUs: 1, Disk: 93<<20 + 7, Pin: snapshot.Linked, Baked: at, BakeMS: 3456, Used: at.Add(time.Hour), State: stateReady},
		{ID: id("2"), Image: "python", Arch: "riscv64", Memory: 16 << 30, CPUs: 4, Disk: 12<<30 + 512<<20, Pin: snapshot.Copied, Baked: at, BakeMS: 61_000, Used: at, State: stateInUse},
		{ID: id("3"), Disk: 4096, State: stateBroken, Why: "ram has 3 bytes, want 4"},
		{ID: id("4"), Image: "gcc", Arch: "arm64", Memory: 512 << 20, CPUs: 1, Disk: 3<<20 + 300<<10, Pin: snapshot.Reflinked, Baked: at, BakeMS: 12, Used: at, State: stateAside, Why: "QEMU ended: exit status 1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "vm-list.txt", out.String())
}

// TestCompletesIDs offers what begins as typed, and makes no folder.
func TestCompletesIDs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	complete := func(typed string) string {
		var out, problems strings.Builder
		if code := run(t.Context(), []string{"__complete", "vm", "verify", "--data-dir", dir, typed}, nil, &out, &problems); code != exitOK {
			t.Fatalf("exit code %d: %s", code, &problems)
		}
		return out.String()
	}
	if got := complete(""); got != ":4\n" {
		t.Errorf("nothing was baked, and offered is %q", got)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("completion made %v, %v", entries, err)
	}
	store, err := snapshot.Open(snapshot.Config{Dir: roles.SnapshotDir(dir)})
	if err != nil {
		t.Fatal(err)
	}
	_ = store
	for _, c := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(roles.SnapshotDir(dir), "ready", strings.Repeat(c, 64)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := complete("aa"), "aaaaaaaaaaaa\tbroken\n:4\n"; got != want {
		t.Errorf("offered is %q, want %q", got, want)
	}
}
