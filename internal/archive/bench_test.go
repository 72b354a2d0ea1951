package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

func benchTars(b *testing.B) map[string][]byte {
	var many []tar.Header
	for i := range 10_000 {
		many = append(many, reg(fmt.Sprintf("d%d/sub/%d.txt", i/100, i), fmt.Sprintf("file %d\n", i)))
	}
	return map[string][]byte{
		"64MiB":      makeTar(b, reg("big", strings.Repeat("0123456789abcdef", 4<<20))),
		"files10000": makeTar(b, many...),
	}
}

func BenchmarkUnpack(b *testing.B) {
	for name, t := range benchTars(b) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(t)))
			files := 0
			for b.Loop() {
				b.StopTimer()
				dir, err := os.MkdirTemp(b.TempDir(), "")
				if err != nil {
					b.Fatal(err)
				}
				root := openRoot(b, dir)
				b.StartTimer()
				stats, err := Unpack(bytes.NewReader(t), root, UnpackOptions{})
				if err != nil {
					b.Fatal(err)
				}
				files += stats.Files
				b.StopTimer()
				os.RemoveAll(dir)
				b.StartTimer()
			}
			b.ReportMetric(float64(files)/b.Elapsed().Seconds(), "files/s")
		})
	}
}

func BenchmarkPack(b *testing.B) {
	for name, t := range benchTars(b) {
		b.Run(name, func(b *testing.B) {
			root := openRoot(b, b.TempDir())
			if _, err := Unpack(bytes.NewReader(t), root, UnpackOptions{}); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(t)))
			files := 0
			for b.Loop() {
				stats, err := Pack(io.Discard, root, nil, PackOptions{})
				if err != nil {
					b.Fatal(err)
				}
				files += stats.Files
			}
			b.ReportMetric(float64(files)/b.Elapsed().Seconds(), "files/s")
		})
	}
}
