package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
)

// format changes when machines that were baked before can no longer be restored, or
// the files of a snapshot are others.
const format = 1

// Key is everything that shapes a machine's state. Two machines with one key are the same.
type Key struct {
	// Recipe is qemu.Recipe's: the machine's arguments, with its size, CPU model,
	// accelerator, the kernel's command line and the guest's clock rate.
	Recipe []string `json:"recipe"`
	// Memory is the machine's, in bytes.
	Memory int64 `json:"memory"`
	// QEMU is the binary: microvm has no migration across versions.
	QEMU File `json:"qemu"`
	// Kernel and Initramfs are the guest.
	Kernel    File `json:"kernel"`
	Initramfs File `json:"initramfs"`
	// Rootfs is the image's EROFS file itself, not the image: the same image in a file of
	// other bytes would meet pages that the guest had cached.
	Rootfs File `json:"rootfs"`
	// Warmup is what ran in the machine before it was baked.
	Warmup []Warmup `json:"warmup,omitempty"`
}

// File is a file's content.
type File struct {
	SHA256 string `json:"sha256"` // 64 hex digits
	Size   int64  `json:"size"`   // bytes; 0 where it isn't known
}

// Warmup is one command of an image's warm-up.
type Warmup struct {
	Argv      []string `json:"argv"`
	Env       []string `json:"env,omitempty"`
	User      string   `json:"user,omitempty"`
	TimeoutMS int64    `json:"timeout_ms,omitempty"`
	// Files is a tar that was unpacked first.
	Files *File `json:"files,omitempty"`
}

// ID names the key's snapshot: 64 hex digits.
func (k Key) ID() (string, error) {
	if err := k.check(); err != nil {
		return "", fmt.Errorf("name snapshot: %w", err)
	}
	// Fields in the order of their declaration, maps nowhere: one key has one text.
	b, err := json.Marshal(struct {
		Format int `json:"format"`
		Key
	}{format, k})
	if err != nil {
		return "", fmt.Errorf("name snapshot: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

var hexPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (k Key) check() error {
	var errs []error
	files := map[string]File{"qemu": k.QEMU, "kernel": k.Kernel, "initramfs": k.Initramfs, "rootfs": k.Rootfs}
	for name, f := range files {
		if !hexPattern.MatchString(f.SHA256) {
			errs = append(errs, fmt.Errorf("%s has no sha256: %q", name, f.SHA256))
		}
	}
	if k.Rootfs.Size <= 0 {
		errs = append(errs, errors.New("rootfs has no size"))
	}
	if len(k.Recipe) == 0 || k.Memory <= 0 {
		errs = append(errs, errors.New("the machine is not described"))
	}
	return errors.Join(errs...)
}
