// Package build makes a guest bundle: the kernel in the form that QEMU boots, an initramfs
// with guestrd and the kernel modules that it needs, and a manifest that names both by digest.
//
// Its place in a job's life: long before it, when an operator prepares a host. It must not
// know QEMU's arguments, nor how kernel packages are fetched.
package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/program-explorer/pe/executor/qemu/vmlinux"
)

// Config says what to build.
type Config struct {
	// Arch is amd64, arm64 or riscv64.
	Arch string
	// Kernel is a folder with an unpacked kernel package: boot/vmlinu[xz]-RELEASE and lib/modules/RELEASE.
	Kernel string
	// Guestrd is the path of guestrd's binary for Arch.
	Guestrd string
	// Version is guestrd's version, for the manifest. Default "dev".
	Version string
	// Out is the folder of bundles; the bundle is made in Out/Arch/RELEASE, replacing what was there.
	Out string
	// Check looks at the bundle in a folder of Out's before it is put in its place, and may add files
	// to it. An error leaves everything as it was. Default: not checked.
	Check func(ctx context.Context, out string) error
}

// Manifest describes a bundle. It is written beside it as manifest.json.
type Manifest struct {
	Arch          string `json:"arch"`
	KernelRelease string `json:"kernel_release"`
	// KernelSHA256 and InitramfsSHA256 are hexadecimal.
	KernelSHA256    string `json:"kernel_sha256"`
	InitramfsSHA256 string `json:"initramfs_sha256"`
	// GuestrdSHA256 is that of guestrd itself, which containers and gVisor sandboxes start without a kernel of ours.
	GuestrdSHA256 string   `json:"guestrd_sha256"`
	GuestVersion  string   `json:"guest_version"`
	Modules       []string `json:"modules"`
}

// Names of a bundle's files.
const (
	KernelFile    = "kernel"
	InitramfsFile = "initramfs.cpio"
	GuestrdFile   = "guestrd"
	ManifestFile  = "manifest.json"
)

// Build makes the bundle. The same inputs give the same bytes; a reader of Out/Arch/RELEASE
// never sees a half-made one.
func Build(ctx context.Context, c Config) (Manifest, error) {
	m := Manifest{Arch: c.Arch, GuestVersion: c.Version}
	if m.GuestVersion == "" {
		m.GuestVersion = "dev"
	}
	kernel, err := openKernel(c.Kernel)
	if err != nil {
		return m, err
	}
	m.KernelRelease = kernel.release
	image, err := kernel.image(c.Arch)
	if err != nil {
		return m, err
	}
	modules, err := kernel.modules(wanted())
	if err != nil {
		return m, err
	}
	for _, mod := range modules {
		m.Modules = append(m.Modules, mod.name)
	}
	if err := ctx.Err(); err != nil {
		return m, err
	}
	guestrd, err := os.ReadFile(c.Guestrd)
	if err != nil {
		return m, fmt.Errorf("read guestrd: %w", err)
	}
	ramdisk, err := initramfs(guestrd, modules)
	if err != nil {
		return m, err
	}
	m.KernelSHA256, m.InitramfsSHA256, m.GuestrdSHA256 = digest(image), digest(ramdisk), digest(guestrd)
	return m, publish(ctx, c, m, map[string][]byte{KernelFile: image, InitramfsFile: ramdisk, GuestrdFile: guestrd})
}

// wanted are the modules that a guest needs, by name; those built into a kernel are skipped.
func wanted() []string {
	return []string{"virtio_pci", "virtio_mmio", "virtio_blk", "virtio_console", "virtio_rng", "erofs", "overlay"}
}

// publish writes the bundle to a folder of its own and puts it in place.
func publish(ctx context.Context, c Config, m Manifest, files map[string][]byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("publish bundle: %w", err)
		}
	}()
	if err := os.MkdirAll(filepath.Join(c.Out, c.Arch), 0o755); err != nil {
		return err
	}
	// What is below a folder whose name begins with a dot is no bundle to anybody else.
	temp, err := os.MkdirTemp(c.Out, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	made := filepath.Join(temp, c.Arch, m.KernelRelease)
	if err := os.MkdirAll(made, 0o755); err != nil {
		return err
	}
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	files[ManifestFile] = append(manifest, '\n')
	for name, content := range files {
		mode := fs.FileMode(0o644) // QEMU's own user reads it
		if name == GuestrdFile {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(made, name), content, mode); err != nil {
			return err
		}
	}
	if c.Check != nil {
		if err := errors.Join(os.Chmod(temp, 0o755), c.Check(ctx, temp)); err != nil {
			return err
		}
	}
	return replace(made, filepath.Join(c.Out, c.Arch, m.KernelRelease), filepath.Join(temp, "old"))
}

// replace puts the folder from in place of to, which becomes old.
func replace(from, to, old string) error {
	if err := os.Rename(to, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(from, to)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// kernel is an unpacked kernel package.
type kernel struct {
	dir     string
	release string
}

// openKernel finds the one release in a package's folder.
func openKernel(dir string) (*kernel, error) {
	found, err := filepath.Glob(filepath.Join(dir, "lib/modules/*"))
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("open kernel package %s: %d releases in lib/modules, 1 wanted", dir, len(found))
	}
	return &kernel{dir: dir, release: filepath.Base(found[0])}, nil
}

// image returns the kernel as QEMU boots it.
func (k *kernel) image(arch string) ([]byte, error) {
	found, err := filepath.Glob(filepath.Join(k.dir, "boot/vmlinu[xz]-"+k.release))
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("read kernel %s: %d images in boot, 1 wanted", k.release, len(found))
	}
	file, err := os.ReadFile(found[0])
	if err != nil {
		return nil, fmt.Errorf("read kernel: %w", err)
	}
	image, err := vmlinux.ForQEMU(arch, file)
	if err != nil {
		return nil, fmt.Errorf("prepare kernel %s: %w", k.release, err)
	}
	return image, nil
}

// moduleName is a module's name as the kernel has it: dashes are underscores.
func moduleName(path string) string {
	base := filepath.Base(path)
	base, _, _ = strings.Cut(base, ".ko")
	return strings.ReplaceAll(base, "-", "_")
}
