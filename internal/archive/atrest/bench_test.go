package atrest

import (
	"bytes"
	"io"
	"testing"

	"github.com/program-explorer/pe/internal/archive"
)

func BenchmarkRepack(b *testing.B) {
	var many bytes.Buffer
	if err := writeMany(&many, 20_000); err != nil {
		b.Fatal(err)
	}
	for name, guest := range map[string][]byte{
		"noise64MiB": makeTar(b, file("big", noise(64<<20))),
		"prose64MiB": makeTar(b, file("big", prose(64<<20))),
		"files20000": many.Bytes(),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(guest)))
			b.ReportAllocs()
			files := 0
			for b.Loop() {
				x, err := Repack(bytes.NewReader(guest), io.Discard, archive.Limits{})
				if err != nil {
					b.Fatal(err)
				}
				files += x.Files
			}
			b.ReportMetric(float64(files)/b.Elapsed().Seconds(), "files/s")
		})
	}
}

func BenchmarkOpenEntry(b *testing.B) {
	for name, content := range map[string][]byte{"noise64MiB": noise(64 << 20), "prose64MiB": prose(64 << 20), "1KiB": prose(1024)} {
		at, x := repack(b, makeTar(b, file("f", content)), archive.Limits{})
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := OpenEntry(bytes.NewReader(at), x.Entries[0])
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
				r.Close()
			}
		})
	}
}
