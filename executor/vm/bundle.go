package vm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Bundle is a kernel and an initramfs that were built for each other ("ped
// kernel add"), in a folder with a manifest: DIR/ARCH/RELEASE.
type Bundle struct {
	Arch          string `json:"arch"`
	KernelRelease string `json:"kernel_release"`
	// Digests of both files: 64 hex digits.
	KernelSHA256    string `json:"kernel_sha256"`
	InitramfsSHA256 string `json:"initramfs_sha256"`
	// GuestVersion is the version of the init inside.
	GuestVersion string `json:"guest_version"`

	dir string
}

// Names of a bundle's files.
const (
	kernelFile    = "kernel"
	initramfsFile = "initramfs.cpio"
	guestrdFile   = "guestrd"
	manifestFile  = "manifest.json"
	maxManifest   = 64 << 10
)

// LoadBundle returns the bundle with the newest kernel for arch below dir, after
// checking its files.
func LoadBundle(dir, arch string) (*Bundle, error) {
	all, err := ListBundles(dir, arch)
	if len(all) == 0 {
		return nil, err
	}
	return all[0], all[0].Check()
}

// ListBundles returns the bundles for arch below dir, the newest kernel first and those
// with a known fault last, as their manifests have them: see Check. There is at least one, or an error; an
// error beside bundles is of others.
func ListBundles(dir, arch string) ([]*Bundle, error) {
	dir = filepath.Join(dir, arch)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("load guest bundles for %s: %w", arch, err)
	}
	var (
		all  []*Bundle
		errs []error
	)
	for _, entry := range entries {
		// Those that begin with a dot are being made, or removed.
		if entry.Name()[0] == '.' || !entry.IsDir() {
			continue
		}
		b, err := readBundle(filepath.Join(dir, entry.Name()), arch)
		if err == nil && b.KernelRelease != entry.Name() {
			err = fmt.Errorf("load guest bundle %s: its kernel is %q", b.dir, b.KernelRelease)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, b)
	}
	if len(all)+len(errs) == 0 {
		return nil, fmt.Errorf("load guest bundle for %s: none in %s (add a kernel with: ped kernel add --arch %s)", arch, dir, arch)
	}
	slices.SortFunc(all, func(a, b *Bundle) int { return preferReleases(a.KernelRelease, b.KernelRelease) })
	return all, errors.Join(errs...)
}

func readBundle(dir, arch string) (*Bundle, error) {
	f, err := os.Open(filepath.Join(dir, manifestFile))
	if err != nil {
		return nil, fmt.Errorf("load guest bundle: %w (ped kernel rm removes what is left of it)", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("load guest bundle %s: %w", dir, err)
	}
	if len(text) > maxManifest {
		return nil, fmt.Errorf("load guest bundle %s: the manifest has more than %d bytes", dir, maxManifest)
	}
	b := &Bundle{dir: dir}
	if err := json.Unmarshal(text, b); err != nil {
		return nil, fmt.Errorf("load guest bundle %s: %w", dir, err)
	}
	if b.Arch != arch {
		return nil, fmt.Errorf("load guest bundle %s: it is for %s, not %s", dir, b.Arch, arch)
	}
	return b, nil
}

// Check holds the files against the manifest: a half-written kernel would only hang.
func (b *Bundle) Check() error {
	if err := errors.Join(checkFile(b.Kernel(), b.KernelSHA256), checkFile(b.Initramfs(), b.InitramfsSHA256)); err != nil {
		return fmt.Errorf("load guest bundle %s: %w", b.dir, err)
	}
	return nil
}

func checkFile(path, digest string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != digest {
		return fmt.Errorf("%s has sha256 %s, its manifest says %q (add the kernel again)", path, got, digest)
	}
	return nil
}

// Digest is that of the guest's init with the kernel's modules; the kernel has a name of its own.
func (b *Bundle) Digest() string { return "sha256:" + b.InitramfsSHA256 }

// Dir is the bundle's folder.
func (b *Bundle) Dir() string { return b.dir }

// Kernel is the path of the kernel in the form that QEMU boots.
func (b *Bundle) Kernel() string { return filepath.Join(b.dir, kernelFile) }

// Guestrd is the path of the guest's program itself, for machines without a kernel of their own.
func (b *Bundle) Guestrd() string { return filepath.Join(b.dir, guestrdFile) }

// Initramfs is the path of the guest's first files.
func (b *Bundle) Initramfs() string { return filepath.Join(b.dir, initramfsFile) }
