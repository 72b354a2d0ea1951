package dir_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/dir"
)

// BenchmarkPut puts into one folder; "fresh" puts each object into folders of
// its own, as a job's first object is; "parallel" has 16 writers.
func BenchmarkPut(b *testing.B) {
	for _, c := range []struct {
		name    string
		size    int
		pattern string
		writers int
	}{
		{"1KiB", 1 << 10, "local/in/%d", 0},
		{"1KiB/fresh", 1 << 10, "local/jobs/%d/spec.json", 0},
		{"1KiB/parallel", 1 << 10, "local/in/%d", 8},
		{"1KiB/parallel-fresh", 1 << 10, "local/jobs/%d/spec.json", 8},
		{"64MiB", 64 << 20, "local/in/%d", 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := open(b, dir.Config{Path: b.TempDir()})
			content := bytes.Repeat([]byte("x"), c.size)
			b.SetBytes(int64(c.size))
			var n atomic.Int64
			put := func() time.Duration {
				i := n.Add(1)
				if c.size > 1<<20 {
					i %= 2 // so that large objects replace each other and do not fill the disk
				}
				key := fmt.Sprintf(c.pattern, i)
				start := time.Now()
				if _, err := s.Put(b.Context(), key, bytes.NewReader(content), objstore.PutOptions{Size: int64(c.size)}); err != nil {
					b.Error(err)
				}
				return time.Since(start)
			}
			if c.writers > 0 {
				b.SetParallelism(c.writers)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						put()
					}
				})
				return
			}
			var times []time.Duration
			for b.Loop() {
				times = append(times, put())
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	for name, size := range map[string]int{"1KiB": 1 << 10, "64MiB": 64 << 20} {
		b.Run(name, func(b *testing.B) {
			s := open(b, dir.Config{Path: b.TempDir()})
			if _, err := s.Put(b.Context(), "local/in/x", bytes.NewReader(make([]byte, size)), objstore.PutOptions{Size: -1}); err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 256<<10)
			b.SetBytes(int64(size))
			for b.Loop() {
				r, _, err := s.Get(b.Context(), "local/in/x", objstore.Range{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, buf); err != nil {
					b.Fatal(err)
				}
				r.Close()
			}
		})
	}
}
