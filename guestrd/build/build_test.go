package build

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/u-root/u-root/pkg/cpio"
	"github.com/ulikunitz/xz"
)

// tree writes a synthetic kernel package.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func xzOf(t *testing.T, s string) string {
	t.Helper()
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const release = "lib/modules/6.1/"

// packages are small models of what the three architectures' kernels look like.
func packages(t *testing.T) map[string]map[string]string {
	return map[string]map[string]string{
		"amd64": {
			release + "modules.dep": "kernel/v/virtio_blk.ko: kernel/v/virtio_ring.ko kernel/v/virtio.ko\nkernel/v/virtio.ko: kernel/v/virtio_ring.ko\nkernel/v/virtio_ring.ko:\n" +
				"kernel/fs/erofs.ko: kernel/lib/libcrc32c.ko\nkernel/lib/libcrc32c.ko:\nkernel/c/virtio-rng.ko: kernel/v/virtio.ko\n",
			release + "modules.builtin":    "kernel/crypto/crc32c_generic.ko\n",
			release + "modules.softdep":    "# comment\nsoftdep libcrc32c pre: crc32c post: other\n",
			release + "modules.alias":      "# comment\nalias crc32c crc32c_generic\n",
			release + "kernel/v/virtio.ko": "virtio", release + "kernel/v/virtio_ring.ko": "ring", release + "kernel/v/virtio_blk.ko": "blk",
			release + "kernel/fs/erofs.ko": "erofs", release + "kernel/lib/libcrc32c.ko": "libcrc", release + "kernel/c/virtio-rng.ko": "rng",
		},
		"riscv64": {
			release + "modules.dep":               "kernel/v/virtio_blk.ko.xz:\nkernel/fs/erofs.ko.xz: kernel/lib/libcrc32c.ko.xz\nkernel/lib/libcrc32c.ko.xz:\nkernel/c/crc32c_generic.ko.xz:\nkernel/c/virtio-rng.ko.xz:\n",
			release + "modules.builtin":           "kernel/v/virtio.ko\nkernel/v/virtio_ring.ko\n",
			release + "modules.softdep":           "softdep libcrc32c pre: crc32c\n",
			release + "modules.alias":             "alias crypto-crc32c crc32c_generic\nalias crc32c crc32c_generic\n",
			release + "kernel/v/virtio_blk.ko.xz": xzOf(t, "blk"), release + "kernel/fs/erofs.ko.xz": xzOf(t, "erofs"),
			release + "kernel/lib/libcrc32c.ko.xz": xzOf(t, "libcrc"), release + "kernel/c/crc32c_generic.ko.xz": xzOf(t, "generic"), release + "kernel/c/virtio-rng.ko.xz": xzOf(t, "rng"),
		},
	}
}

func TestModuleOrder(t *testing.T) {
	for arch, want := range map[string]string{
		"amd64":   "virtio_ring virtio virtio_blk libcrc32c erofs virtio_rng",
		"riscv64": "virtio_blk crc32c_generic libcrc32c erofs virtio_rng",
	} {
		k, err := openKernel(tree(t, packages(t)[arch]))
		if err != nil {
			t.Fatal(err)
		}
		modules, err := k.modules([]string{"virtio_blk", "virtio_ring", "erofs", "virtio_rng"})
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		var names []string
		for _, m := range modules {
			names = append(names, m.name)
			if m.name == "erofs" && string(m.content) != "erofs" {
				t.Errorf("%s: erofs is %q", arch, m.content)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: order %q, want %q", arch, got, want)
		}
	}
}

func TestMissingModuleIsNamed(t *testing.T) {
	k, err := openKernel(tree(t, packages(t)["amd64"]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.modules([]string{"overlay"}); err == nil || !strings.Contains(err.Error(), "overlay") {
		t.Errorf("error %v", err)
	}
}

func TestModuleCycleEnds(t *testing.T) {
	x := &index{path: map[string]string{"a": "a.ko", "b": "b.ko"}, deps: map[string][]string{"a": {"b"}, "b": {"a"}}}
	order, err := x.closure([]string{"a"})
	if err != nil || !slices.Equal(order, []string{"b", "a"}) {
		t.Errorf("%q, %v", order, err)
	}
}

func TestInitramfs(t *testing.T) {
	modules := []module{{"virtio", []byte("v")}, {"erofs", []byte("e")}}
	first, err := initramfs([]byte("program"), modules)
	if err != nil {
		t.Fatal(err)
	}
	second, err := initramfs([]byte("program"), modules)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("two builds differ")
	}
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(first)))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, r := range records {
		content := ""
		if r.ReaderAt != nil {
			b, err := io.ReadAll(io.NewSectionReader(r.ReaderAt, 0, int64(r.FileSize)))
			if err != nil {
				t.Fatal(err)
			}
			content = string(b)
		}
		found[r.Name] = content
		if r.Name == "init" && r.Mode&0o777 != 0o755 {
			t.Errorf("init has mode %o", r.Mode)
		}
	}
	for name, want := range map[string]string{
		"init": "program", "modules/virtio.ko": "v", "modules/erofs.ko": "e", "modules/load": "/modules/virtio.ko\n/modules/erofs.ko\n",
	} {
		if found[name] != want {
			t.Errorf("%s: %q, want %q", name, found[name], want)
		}
	}
	if _, ok := found["dev/console"]; !ok {
		t.Error("there is no console")
	}
}

// A bundle that fails its check replaces nothing and leaves nothing.
func TestCheckKeepsTheOld(t *testing.T) {
	c := Config{Out: t.TempDir(), Arch: "amd64"}
	m := Manifest{Arch: "amd64", KernelRelease: "6.1"}
	if err := publish(t.Context(), c, m, map[string][]byte{KernelFile: []byte("old")}); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("does not boot")
	c.Check = func(_ context.Context, out string) error {
		if b, err := os.ReadFile(filepath.Join(out, "amd64/6.1", KernelFile)); err != nil || string(b) != "new" {
			t.Errorf("checked %q, %v", b, err)
		}
		return refused
	}
	if err := publish(t.Context(), c, m, map[string][]byte{KernelFile: []byte("new")}); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(c.Out, "amd64/6.1", KernelFile)); err != nil || string(b) != "old" {
		t.Errorf("kernel %q, %v", b, err)
	}
	if left, _ := os.ReadDir(c.Out); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
