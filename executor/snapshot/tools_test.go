package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	a, b := "abcd1"+strings.Repeat("0", 59), "abcd2"+strings.Repeat("0", 59)
	for _, id := range []string{a, b, "abcd3", a + "-1"} {
		if err := os.Mkdir(filepath.Join(dir, readyDir, id), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for prefix, want := range map[string]error{"abcd1": nil, a: nil, "abc": ErrNotFound, "": ErrNotFound, "abcd3": ErrNotFound, "../re": ErrNotFound, "abcd": ErrAmbiguous} {
		got, err := s.Find(prefix)
		if !errors.Is(err, want) || (err == nil) != (got == a) {
			t.Errorf("%q: %q, %v, want %v", prefix, got, err, want)
		}
	}
	if _, err := s.FindAside("abcd1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a good one is found among those set aside: %v", err)
	}
}

// TestVerifyOrSetAside leaves a good snapshot, and takes a bad one out of use with the reason.
func TestVerifyOrSetAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	rootfs, key := image(t, "an image")
	snap, id := get(t, s, key, rootfs, pretend)
	snap.Release()
	used := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(filepath.Join(dir, readyDir, id, useFile), used, used); err != nil {
		t.Fatal(err)
	}
	if err := s.VerifyOrSetAside(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if all, err := s.List(); err != nil || len(all) != 1 || !all[0].Used.Equal(used) {
		t.Errorf("to be verified is to be used: %+v, %v", all, err)
	}
	if err := os.WriteFile(filepath.Join(dir, readyDir, id, stateFile), []byte("stale"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.VerifyOrSetAside(t.Context(), id); !errors.Is(err, ErrBroken) {
		t.Fatal(err)
	}
	if _, err := s.Acquire(t.Context(), id); !errors.Is(err, ErrNotFound) {
		t.Errorf("still there: %v", err)
	}
	aside, err := s.Aside()
	if err != nil || len(aside) != 1 || aside[0].ID != id || aside[0].Bytes <= 0 || !aside[0].Used.Equal(used) {
		t.Fatalf("set aside: %+v, %v", aside, err)
	}
	if !strings.Contains(aside[0].Err.Error(), "state has 5 bytes") {
		t.Errorf("set aside because of %q", aside[0].Err)
	}
	if found, err := s.FindAside(id[:MinPrefix]); err != nil || found != id {
		t.Errorf("found %q, %v", found, err)
	}
	if err := s.RemoveAside(id); err != nil {
		t.Error(err)
	}
	if err := s.RemoveAside(id); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed again: %v", err)
	}
	if left := append(names(t, dir, bakingDir), names(t, dir, brokenDir)...); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestPlan says what GC would do, which GC then does.
func TestPlan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	var ids []string
	for i, content := range []string{"first", "second", "third"} {
		rootfs, key := image(t, content)
		snap, id := get(t, s, key, rootfs, pretend)
		ids = append(ids, id)
		used := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(filepath.Join(dir, readyDir, id, useFile), used, used); err != nil {
			t.Fatal(err)
		}
		if i > 0 { // the first stays in use
			snap.Release()
		}
	}
	planned, err := s.Plan(t.Context(), 0)
	if err != nil || !slices.Equal(planned.Removed, ids[1:]) || !slices.Equal(planned.InUse, ids[:1]) {
		t.Errorf("planned %+v, %v", planned, err)
	}
	if got := names(t, dir, readyDir); len(got) != 3 {
		t.Errorf("the plan was carried out: %v", got)
	}
	done, err := s.GC(t.Context(), 0)
	if err != nil || !slices.Equal(done.Removed, planned.Removed) || !slices.Equal(done.InUse, planned.InUse) || done.Freed != planned.Freed || done.Kept != planned.Kept {
		t.Errorf("did %+v, %v, planned %+v", done, err, planned)
	}
}

// TestDerive makes a snapshot of another one's root filesystem, and of no other.
func TestDerive(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	rootfs, key := image(t, "an image")
	from, _ := get(t, s, key, rootfs, pretend)
	if err := os.Remove(rootfs); err != nil { // what pins it is the snapshot
		t.Fatal(err)
	}
	key.Warmup = []Warmup{{Argv: []string{"more"}}}
	snap, baked, err := s.Derive(t.Context(), key, from, pretend)
	if err != nil || !baked {
		t.Fatalf("baked %v, %v", baked, err)
	}
	defer snap.Release()
	if err := s.Verify(t.Context(), snap.Manifest().ID); err != nil || snap.Manifest().Pin != Linked {
		t.Errorf("pinned by %s, %v", snap.Manifest().Pin, err)
	}
	if _, _, err := s.Derive(t.Context(), keyOf("another"), from, never); err == nil {
		t.Error("derived from a snapshot of another image")
	}
}
