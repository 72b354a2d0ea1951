package atrest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/program-explorer/pe/internal/archive"
)

// Whatever Repack accepts has an index that the decoder takes, and files that open.
func FuzzRepack(f *testing.F) {
	f.Add(makeTar(f, file("d/a", prose(2000)), other(tar.TypeDir, "d/"), link(tar.TypeSymlink, "l", "d/a"), link(tar.TypeLink, "h", "d/a")))
	f.Add(makeTar(f, file("bad\xff\nname", noise(600)), link(tar.TypeSymlink, "up", "../x"), other(tar.TypeChar, "c"), file("/abs", nil)))
	f.Add(makeTar(f, file("large", noise(smallEntry+10))))
	f.Fuzz(func(t *testing.T, guest []byte) {
		guest = bytes.Clone(guest) // the engine's own must stay as it is
		fixHeaders(guest)
		limits := archive.Limits{MaxBytes: 1 << 20, MaxEntries: 64}
		var at bytes.Buffer
		x, err := Repack(bytes.NewReader(guest), &at, limits)
		if err != nil {
			return
		}
		if x.Bytes > limits.MaxBytes || len(x.Entries) > limits.MaxEntries {
			t.Fatalf("beyond the limits: %d bytes, %d entries", x.Bytes, len(x.Entries))
		}
		verify(t, at.Bytes(), x)
	})
}

// fixHeaders lets fuzzing get past the checksums of tar headers.
func fixHeaders(b []byte) {
	for ; len(b) >= 512; b = b[512:] {
		if string(b[257:262]) != "ustar" {
			continue
		}
		copy(b[148:156], "        ")
		sum := 0
		for _, c := range b[:512] {
			sum += int(c)
		}
		copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	}
}

func FuzzDecodeIndex(f *testing.F) {
	_, x := sample(f)
	var b bytes.Buffer
	if err := x.Encode(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"version":1,"archive_size":0,"entries":[{"path":"a","type":"dir"}]}`))
	f.Add([]byte(`{"entries":[],"Entries":[{"path":"a","type":"dir"}],"entries":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		x, err := DecodeIndex(bytes.NewReader(text), 1<<20)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := x.Encode(&again); err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeIndex(&again, 1<<21); err != nil {
			t.Fatalf("accepted once, then: %v", err)
		}
		var one []Entry
		for e, err := range Entries(bytes.NewReader(text)) {
			if err != nil {
				t.Fatalf("accepted as a whole, then: %v", err)
			}
			one = append(one, e)
		}
		if !slices.Equal(one, x.Entries) {
			t.Fatalf("%d entries one after the other, %d at once", len(one), len(x.Entries))
		}
	})
}

func FuzzOpenEntry(f *testing.F) {
	at, x := sample(f)
	for _, e := range x.Entries[:2] {
		f.Add(at[e.Offset:e.Offset+e.Length], int64(2000), int64(512))
	}
	f.Add(at, int64(2000), int64(512))
	sum := x.Entries[0].SHA256
	f.Fuzz(func(t *testing.T, frame []byte, size, header int64) {
		r, err := OpenEntry(bytes.NewReader(frame), Entry{Path: "f", Type: TypeFile, Size: size, Header: header, Length: int64(len(frame)), SHA256: sum})
		if err != nil {
			return
		}
		defer r.Close()
		var b bytes.Buffer
		n, err := io.Copy(&b, io.LimitReader(r, 1<<24))
		if n > size {
			t.Fatalf("%d bytes of %d", n, size)
		}
		if err == nil && n < 1<<24 && digestOf(b.Bytes()) != sum {
			t.Fatal("wrong content was accepted")
		}
	})
}
