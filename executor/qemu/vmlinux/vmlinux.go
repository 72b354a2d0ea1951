// Package vmlinux turns a distribution's kernel file into the one that QEMU
// boots directly: on amd64 the ELF file inside a bzImage, entered by PVH, which
// skips the firmware's and the self-extractor's work at every boot; on arm64
// and riscv64 the plain Image. It runs when a guest bundle is built, never in a
// job's way. It must not know QEMU's arguments, packages or caches.
package vmlinux

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxSize bounds a kernel file before and after decompression, in bytes.
// Debian's are 30 to 70 MB unpacked.
const MaxSize = 256 << 20

// ForQEMU returns the form of a kernel file (vmlinuz or vmlinux of a Debian or
// Ubuntu package) that QEMU's -kernel takes for arch (amd64, arm64, riscv64).
// The result may share memory with image. A file that is not such a kernel, or
// that unpacks to more than MaxSize, is an error.
func ForQEMU(arch string, image []byte) ([]byte, error) {
	switch arch {
	case "amd64":
		if bytes.HasPrefix(image, []byte(elfMagic)) {
			return image, checkPVH(image)
		}
		return Extract(image)
	case "arm64", "riscv64":
		return plainImage(arch, image)
	}
	return nil, fmt.Errorf("prepare kernel for %s: unknown architecture", arch)
}

// The fields of the x86 boot protocol's header that lead to the payload
// (Documentation/arch/x86/boot.rst, protocol 2.08 and later).
const (
	setupSectsAt    = 0x1f1
	headerMagicAt   = 0x202
	versionAt       = 0x206
	payloadOffsetAt = 0x248
	payloadLengthAt = 0x24c
	headerEnd       = 0x250
	minVersion      = 0x208
	sectorSize      = 512
	defaultSetup    = 4 // what a setup_sects of 0 means
)

// Extract returns the vmlinux ELF file inside an x86 bzImage, and checks that
// it can be entered by PVH.
func Extract(bzImage []byte) ([]byte, error) {
	payload, err := payloadOf(bzImage)
	if err != nil {
		return nil, fmt.Errorf("read bzImage: %w", err)
	}
	elf, err := unpack(payload)
	if err != nil {
		return nil, fmt.Errorf("unpack bzImage: %w", err)
	}
	if err := checkPVH(elf); err != nil {
		return nil, err
	}
	return elf, nil
}

func payloadOf(b []byte) ([]byte, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%d bytes, more than %d", len(b), MaxSize)
	}
	if len(b) < headerEnd || string(b[headerMagicAt:headerMagicAt+4]) != "HdrS" {
		return nil, errors.New("no boot header")
	}
	if v := binary.LittleEndian.Uint16(b[versionAt:]); v < minVersion {
		return nil, fmt.Errorf("boot protocol %#x is older than %#x", v, minVersion)
	}
	sects := int64(b[setupSectsAt])
	if sects == 0 {
		sects = defaultSetup
	}
	start := (sects+1)*sectorSize + int64(binary.LittleEndian.Uint32(b[payloadOffsetAt:]))
	end := start + int64(binary.LittleEndian.Uint32(b[payloadLengthAt:]))
	if start >= end || end > int64(len(b)) {
		return nil, fmt.Errorf("payload %d to %d is outside of the file's %d bytes", start, end, len(b))
	}
	return b[start:end], nil
}

// imageMagicAt is where arm64 and riscv64 Images carry their magic number.
const imageMagicAt = 0x38

// plainImage accepts an Image as it is, and unpacks one that was gzipped whole.
func plainImage(arch string, b []byte) ([]byte, error) {
	if bytes.HasPrefix(b, []byte(gzipMagic)) {
		var err error
		if b, err = unpack(b); err != nil {
			return nil, fmt.Errorf("unpack kernel image: %w", err)
		}
	}
	want := "ARM\x64"
	if arch == "riscv64" {
		want = "RSC\x05"
	}
	if len(b) < imageMagicAt+4 || string(b[imageMagicAt:imageMagicAt+4]) != want {
		return nil, fmt.Errorf("kernel image has no %s header", arch)
	}
	return b, nil
}
