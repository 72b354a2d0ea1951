package vmlinux

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// xenNotePhys32Entry is the type of the ELF note that holds the PVH entry point
// (XEN_ELFNOTE_PHYS32_ENTRY).
const xenNotePhys32Entry = 18

// maxNotes bounds a note segment, in bytes. Linux's is under 1 KiB.
const maxNotes = 1 << 20

// checkPVH says whether QEMU can enter the ELF file directly, so that a kernel
// without CONFIG_PVH fails when the bundle is built and not at a silent boot.
func checkPVH(b []byte) error {
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("read kernel: %w", err)
	}
	if f.Class != elf.ELFCLASS64 || f.Machine != elf.EM_X86_64 {
		return fmt.Errorf("read kernel: %v %v, want a 64-bit x86 one", f.Class, f.Machine)
	}
	entry := false
	for _, p := range f.Progs {
		// The decompressors stop at their stream's end; a segment that
		// reaches past the file shows one that was cut.
		if p.Off > uint64(len(b)) || p.Filesz > uint64(len(b))-p.Off {
			return fmt.Errorf("read kernel: segment at %d of %d bytes is cut off at %d", p.Off, p.Filesz, len(b))
		}
		if p.Type == elf.PT_NOTE {
			notes, err := io.ReadAll(io.LimitReader(p.Open(), maxNotes))
			if err != nil {
				return fmt.Errorf("read kernel's notes: %w", err)
			}
			entry = entry || hasPVHNote(notes)
		}
	}
	if !entry {
		return errors.New("kernel has no PVH entry point (CONFIG_PVH)")
	}
	return nil
}

// hasPVHNote walks ELF notes: name size, description size, type, then both
// padded to 4 bytes.
func hasPVHNote(notes []byte) bool {
	for len(notes) >= 12 {
		nameSize := uint64(binary.LittleEndian.Uint32(notes))
		descSize := uint64(binary.LittleEndian.Uint32(notes[4:]))
		kind := binary.LittleEndian.Uint32(notes[8:])
		notes = notes[12:]
		next := align4(nameSize) + align4(descSize)
		if next > uint64(len(notes)) {
			return false
		}
		if kind == xenNotePhys32Entry && string(notes[:nameSize]) == "Xen\x00" {
			return true
		}
		notes = notes[next:]
	}
	return false
}

func align4(n uint64) uint64 { return (n + 3) &^ 3 }
