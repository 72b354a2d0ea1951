package erofsfile_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/imagesync/erofsfile"
	"github.com/program-explorer/pe/imagesync/flatten"
	"github.com/program-explorer/pe/imagesync/imagetest"
)

type entry = imagetest.Entry

// write flattens layers into an EROFS file.
func write(t *testing.T, layers ...[]byte) string {
	t.Helper()
	tree := flatten.NewTree(flatten.Limits{})
	budget := flatten.NewBudget(flatten.Limits{})
	for _, raw := range layers {
		spool, err := flatten.NewFileSpool(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { spool.Close() })
		layer, err := flatten.ReadLayer(t.Context(), bytes.NewReader(raw), spool, budget)
		if err != nil {
			t.Fatal(err)
		}
		if err := spool.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := tree.Apply(layer); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "image.erofs")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := erofsfile.Write(t.Context(), tree, file); err != nil {
		t.Fatal(err)
	}
	return path
}

// everything is a layer with every kind of file, sizes around the block size,
// and folders of several blocks.
func everything(t *testing.T) []byte {
	at := time.Unix(1_700_000_000, 123_456_789)
	entries := []entry{
		{Name: "./", Mode: 0o755, Time: at},
		{Name: "bin", Link: "usr/bin", Time: at},
		{Name: "usr/", Time: at}, {Name: "usr/bin/", Time: at},
		{Name: "usr/bin/sudo", Body: "setuid", Mode: 0o4755, UID: 0, GID: 7, Time: at},
		{Name: "tmp/", Mode: 0o1777, Time: at},
		{Name: "group/", Mode: 0o2775, GID: 100, Time: at},
		{Name: "big-owner", Body: "x", UID: 70_000, GID: 4_000_000_000, Time: at},
		{Name: "dev/", Time: at},
		{Name: "dev/null", Type: tar.TypeChar, Mode: 0o666, Major: 1, Minor: 3, Time: at},
		{Name: "dev/many", Type: tar.TypeBlock, Mode: 0o600, Major: 259, Minor: 70_000, Time: at},
		{Name: "dev/fifo", Type: tar.TypeFifo, Mode: 0o622, Time: at},
		{Name: "long-link", Link: strings.Repeat("x", 3000), Time: at},
		{Name: "a\nb", Body: "newline", Time: at}, {Name: "!bang", Body: "sorts before the dot", Time: at},
		{Name: "empty", Time: at}, {Name: "empty-folder/", Time: at},
		{Name: "first", Body: strings.Repeat("hard", 3000), Mode: 0o755, UID: 5, Time: at, Xattrs: map[string]string{"user.who": "first"}},
		{Name: "many/", Time: at},
	}
	for i := range 600 {
		entries = append(entries,
			entry{Name: fmt.Sprintf("many/%s-%d", strings.Repeat("name", 30), i), Body: strings.Repeat("d", i*37), Time: at},
			entry{Name: fmt.Sprintf("many/link-%d", i), Link: strings.Repeat("t", i), Time: at})
		if i == 0 {
			entries = entries[:len(entries)-1] // a link has a target
		}
	}
	for _, size := range []int{1, 4031, 4032, 4033, 4063, 4064, 4065, 4095, 4096, 4097, 8192, 1 << 20} {
		entries = append(entries, entry{Name: fmt.Sprintf("size-%d", size), Body: strings.Repeat("s", size), Time: at})
	}
	// Attribute areas of every length modulo 8, on small and large files: with
	// 4 modulo 8, go-erofs misplaces the chunk indexes of its other mode.
	for n := 1; n <= 12; n++ {
		for _, size := range []int{0, 10, 5000} {
			entries = append(entries, entry{Name: fmt.Sprintf("attr-%d-%d", n, size), Body: strings.Repeat("a", size), Time: at,
				Xattrs: map[string]string{"user.n": strings.Repeat("v", n)}})
		}
	}
	for _, name := range []string{"second", "usr/third", "many/fourth"} {
		entries = append(entries, entry{Name: name, Type: tar.TypeLink, Link: "first", Time: at})
	}
	entries = append(entries,
		entry{Name: "capable", Body: "x", Mode: 0o755, Time: at, Xattrs: map[string]string{"security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}})
	// Again, as tar's hard links change the times of these folders.
	entries = append(entries, entry{Name: "usr/", Time: at}, entry{Name: "many/", Time: at})
	return imagetest.Tar(t, entries...)
}

// TestAgainstTar compares what the kernel shows of an image with what GNU tar
// extracts of the same layer.
func TestAgainstTar(t *testing.T) {
	raw := everything(t)
	image := write(t, raw)
	imagetest.Fsck(t, image)
	mounted := imagetest.MountErofs(t, image)

	extracted := t.TempDir()
	cmd := exec.Command(imagetest.Tool(t, "tar", "install GNU tar"), "--xattrs", "--xattrs-include=*", "--same-owner", "-xpf", "-", "-C", extracted)
	cmd.Stdin = bytes.NewReader(raw)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	imagetest.CompareListings(t, imagetest.Listing(t, mounted), imagetest.Listing(t, extracted))
}

// TestSameBytes: the same layers give the same image, whatever the spool's order.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	raw := everything(t)
	first, err := os.ReadFile(write(t, raw))
	if err != nil {
		t.Fatal(err)
	}
	split := [][]byte{raw, imagetest.Tar(t, entry{Name: "x", Body: "x"}), imagetest.Tar(t, entry{Name: ".wh.x"})}
	second, err := os.ReadFile(write(t, split...))
	if err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(first) != sha256.Sum256(second) {
		t.Error("two images of the same tree differ")
	}
	if len(first)%4096 != 0 {
		t.Errorf("the image has %d bytes, no whole number of blocks", len(first))
	}
}

// TestHardLinksCostNothing: a busybox of 400 names is stored once.
func TestHardLinksCostNothing(t *testing.T) {
	t.Parallel()
	entries := []entry{{Name: "bin/"}, {Name: "bin/busybox", Body: strings.Repeat("b", 1<<20), Mode: 0o755}}
	for i := range 400 {
		entries = append(entries, entry{Name: fmt.Sprintf("bin/applet%d", i), Type: tar.TypeLink, Link: "bin/busybox"})
	}
	image := write(t, imagetest.Tar(t, entries...))
	info, err := os.Stat(image)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 2<<20 {
		t.Errorf("the image has %d bytes", info.Size())
	}
	imagetest.Fsck(t, image)
}

// TestLayersThatMergeGetsWrong: siblings of an opaque marker that sort before it,
// and a merged /usr, which go-erofs's Merge gets wrong.
func TestLayersThatMergeGetsWrong(t *testing.T) {
	lower := imagetest.Tar(t, entry{Name: "usr/bin/"}, entry{Name: "bin", Link: "usr/bin"}, entry{Name: "bin/a", Body: "a"},
		entry{Name: "d/old", Body: "old"})
	upper := imagetest.Tar(t, entry{Name: "bin/x", Body: "x"},
		entry{Name: "d/"}, entry{Name: "d/.early", Body: "e"}, entry{Name: "d/.wh..wh..opq"}, entry{Name: "d/late", Body: "l"})
	image := write(t, lower, upper)
	imagetest.Fsck(t, image)
	mounted := imagetest.MountErofs(t, image)
	for path, want := range map[string]string{"usr/bin/x": "x", "bin/a": "a", "d/.early": "e", "d/late": "l"} {
		if got, err := os.ReadFile(filepath.Join(mounted, path)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if target, err := os.Readlink(filepath.Join(mounted, "bin")); err != nil || target != "usr/bin" {
		t.Errorf("bin is %q, %v: not the link any more", target, err)
	}
	if _, err := os.Lstat(filepath.Join(mounted, "d/old")); !os.IsNotExist(err) {
		t.Errorf("d/old: %v", err)
	}
}

// TestACL: the kernel shows ACLs under their names.
func TestACL(t *testing.T) {
	acl := "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\xe8\x03\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"
	image := write(t, imagetest.Tar(t, entry{Name: "f", Body: "x", Xattrs: map[string]string{"system.posix_acl_access": acl}}))
	imagetest.Fsck(t, image)
	listing := strings.Join(imagetest.Listing(t, imagetest.MountErofs(t, image)), "\n")
	if want := fmt.Sprintf("system.posix_acl_access=%x", acl); !strings.Contains(listing, want) {
		t.Errorf("no %s in\n%s", want, listing)
	}
}
