package vmlinux

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// tinyELF is a 64-bit x86 ELF file of one note segment.
func tinyELF(noteName string) []byte {
	var b bytes.Buffer
	w := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	w([]uint16{2, 62})         // executable, x86-64
	w(uint32(1))               // version
	w([]uint64{0, 64, 0})      // entry, program headers, sections
	w(uint32(0))               // flags
	w([]uint16{64, 56, 1, 64}) // sizes and counts
	w([]uint16{0, 0})
	w([]uint32{4, 4}) // PT_NOTE, readable
	w([]uint64{120, 0, 0, 20, 20, 4})
	w([]uint32{4, 4, xenNotePhys32Entry})
	b.WriteString(noteName + "\x00")
	w(uint32(0x1000000))
	return b.Bytes()
}

func bzImage(payload []byte) []byte {
	b := make([]byte, 2*sectorSize)
	b[setupSectsAt] = 1
	copy(b[headerMagicAt:], "HdrS")
	binary.LittleEndian.PutUint16(b[versionAt:], 0x20f)
	binary.LittleEndian.PutUint32(b[payloadOffsetAt:], 16)
	binary.LittleEndian.PutUint32(b[payloadLengthAt:], uint32(len(payload)))
	b = append(b, make([]byte, 16)...)
	b = append(b, payload...)
	return append(b, "trailing signature"...)
}

func sized(packed []byte, size int) []byte {
	return binary.LittleEndian.AppendUint32(packed, uint32(size))
}

func packLZ4(t testing.TB, b []byte) []byte {
	t.Helper()
	dst := make([]byte, lz4.CompressBlockBound(len(b)))
	n, err := lz4.CompressBlock(b, dst, nil)
	if err != nil || n == 0 {
		t.Fatalf("compress: %d bytes, %v", n, err)
	}
	out := binary.LittleEndian.AppendUint32([]byte(lz4Magic), uint32(n))
	return sized(append(out, dst[:n]...), len(b))
}

func packZstd(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return sized(w.EncodeAll(b, nil), len(b))
}

func packGzip(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestExtract(t *testing.T) {
	t.Parallel()
	elf := append(tinyELF("Xen"), make([]byte, 4096)...)
	for name, payload := range map[string][]byte{
		"lz4": packLZ4(t, elf), "zstd": packZstd(t, elf), "gzip": packGzip(t, elf), "plain": elf,
	} {
		got, err := ForQEMU("amd64", bzImage(payload))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(got, elf) {
			t.Errorf("%s: %d bytes differ from the %d packed", name, len(got), len(elf))
		}
	}
}

func TestExtractRefuses(t *testing.T) {
	t.Parallel()
	elf := append(tinyELF("Xen"), make([]byte, 4096)...)
	good := packLZ4(t, elf)
	oldProtocol := bzImage(good)
	binary.LittleEndian.PutUint16(oldProtocol[versionAt:], 0x207)
	outside := bzImage(good)
	binary.LittleEndian.PutUint32(outside[payloadLengthAt:], 1<<31)
	bomb := bytes.Clone(good)
	binary.LittleEndian.PutUint32(bomb[len(bomb)-4:], MaxSize+1)
	liar := bytes.Clone(good)
	binary.LittleEndian.PutUint32(liar[len(liar)-4:], 100)
	for name, c := range map[string]struct {
		image []byte
		want  string
	}{
		"empty":         {nil, "no boot header"},
		"text":          {bytes.Repeat([]byte("kernel"), 1000), "no boot header"},
		"old protocol":  {oldProtocol, "older than"},
		"outside":       {outside, "outside of the file"},
		"xz":            {bzImage([]byte(xzMagic + "....")), "xz payload is not supported"},
		"unknown":       {bzImage([]byte("whatever")), "unknown compression"},
		"bomb":          {bzImage(bomb), "more than"},
		"liar":          {bzImage(liar), "lz4 block"},
		"cut lz4":       {bzImage(good[:len(good)-20]), "bytes"},
		"no entry":      {bzImage(packLZ4(t, append(tinyELF("Yen"), make([]byte, 4096)...))), "no PVH entry point"},
		"cut segment":   {bzImage(packGzip(t, tinyELF("Xen")[:130])), "cut off"},
		"not a program": {bzImage(packGzip(t, []byte("hello"))), "read kernel"},
	} {
		_, err := ForQEMU("amd64", c.image)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

func TestPlainImage(t *testing.T) {
	t.Parallel()
	image := make([]byte, 4096)
	copy(image[imageMagicAt:], "RSC\x05")
	for name, in := range map[string][]byte{"as it is": image, "gzipped": packGzip(t, image)} {
		if got, err := ForQEMU("riscv64", in); err != nil || !bytes.Equal(got, image) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if _, err := ForQEMU("arm64", image); err == nil {
		t.Error("a riscv64 image passed as an arm64 one")
	}
	if _, err := ForQEMU("sparc", image); err == nil {
		t.Error("an unknown architecture passed")
	}
}

// TestDebian extracts the real kernels, where deploy/kernels.sh has put them.
func TestDebian(t *testing.T) {
	t.Parallel()
	cache := os.Getenv("PE_CACHE")
	if cache == "" {
		cache = "../../../.cache"
	}
	for _, arch := range []string{"amd64", "arm64", "riscv64"} {
		found, _ := filepath.Glob(filepath.Join(cache, "kernels", arch, "boot", "vmlinu[xz]-*"))
		if len(found) == 0 {
			if os.Getenv("PE_REQUIRE_ALL") == "1" && arch == "amd64" {
				t.Fatalf("no kernel for %s: run deploy/kernels.sh %s", arch, arch)
			}
			t.Logf("no kernel for %s to try: run deploy/kernels.sh %s", arch, arch)
			continue
		}
		image, err := os.ReadFile(found[0])
		if err != nil {
			t.Fatal(err)
		}
		got, err := ForQEMU(arch, image)
		if err != nil {
			t.Errorf("%s: %v", found[0], err)
		}
		t.Logf("%s: %d bytes from %d", arch, len(got), len(image))
	}
}

func FuzzForQEMU(f *testing.F) {
	elf := append(tinyELF("Xen"), make([]byte, 256)...)
	for _, p := range [][]byte{packLZ4(f, elf), packZstd(f, elf), packGzip(f, elf), elf, []byte(xzMagic)} {
		f.Add("amd64", bzImage(p))
	}
	f.Add("amd64", elf)
	f.Add("arm64", packGzip(f, make([]byte, 100)))
	f.Fuzz(func(t *testing.T, arch string, image []byte) {
		if out, err := ForQEMU(arch, image); err == nil && len(out) == 0 {
			t.Error("an empty kernel without an error")
		}
	})
}
