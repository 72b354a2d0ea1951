package vm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Bundle is a kernel and an initramfs that were built for each other
// ("ped guest build"), in a folder with a manifest.
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
	manifestFile  = "manifest.json"
	maxManifest   = 64 << 10
)

// LoadBundle reads the manifest of the bundle for arch below dir, and checks
// its files against it: a half-written kernel would only hang.
func LoadBundle(dir, arch string) (*Bundle, error) {
	dir = filepath.Join(dir, arch)
	text, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return nil, fmt.Errorf("load guest bundle for %s: %w (build it with: ped guest build --arch %s)", arch, err, arch)
	}
	if len(text) > maxManifest {
		return nil, fmt.Errorf("load guest bundle for %s: manifest has %d bytes", arch, len(text))
	}
	b := &Bundle{dir: dir}
	if err := json.Unmarshal(text, b); err != nil {
		return nil, fmt.Errorf("load guest bundle %s: %w", dir, err)
	}
	if b.Arch != arch {
		return nil, fmt.Errorf("load guest bundle %s: it is for %s, not %s", dir, b.Arch, arch)
	}
	if err := errors.Join(checkFile(b.kernel(), b.KernelSHA256), checkFile(b.initramfs(), b.InitramfsSHA256)); err != nil {
		return nil, fmt.Errorf("load guest bundle %s: %w", dir, err)
	}
	return b, nil
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
		return fmt.Errorf("%s has sha256 %s, its manifest says %q (build it again)", path, got, digest)
	}
	return nil
}

// Digest is that of the guest's init; the kernel has a name of its own.
func (b *Bundle) Digest() string { return "sha256:" + b.InitramfsSHA256 }

func (b *Bundle) kernel() string    { return filepath.Join(b.dir, kernelFile) }
func (b *Bundle) initramfs() string { return filepath.Join(b.dir, initramfsFile) }
