package flatten_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/program-explorer/pe/imagesync/flatten"
)

// zeros is an endless stream.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// stream makes a layer on the fly, so that a bomb costs the test no memory.
func stream(t *testing.T, write func(w *tar.Writer, raw io.Writer) error) io.Reader {
	r, w := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		archive := tar.NewWriter(w)
		w.CloseWithError(write(archive, w))
	}()
	t.Cleanup(func() { r.Close(); <-ended })
	return r
}

func TestBombs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		limits flatten.Limits
		cap    string
		write  func(w *tar.Writer, raw io.Writer) error
	}{
		{"100 GB of zeros in one file, under the default limits", flatten.Limits{}, "uncompressed bytes",
			func(w *tar.Writer, raw io.Writer) error {
				if err := w.WriteHeader(&tar.Header{Name: "zeros", Size: 100 << 30, Typeflag: tar.TypeReg}); err != nil {
					return err
				}
				_, err := io.Copy(w, zeros{})
				return err
			}},
		{"many files that are too much together", flatten.Limits{Bytes: 8 << 20}, "uncompressed bytes",
			func(w *tar.Writer, raw io.Writer) error {
				for i := 0; ; i++ {
					if err := w.WriteHeader(&tar.Header{Name: fmt.Sprint(i), Size: 1 << 20, Typeflag: tar.TypeReg}); err != nil {
						return err
					}
					if _, err := io.CopyN(w, zeros{}, 1<<20); err != nil {
						return err
					}
				}
			}},
		{"zeros behind the end of the archive", flatten.Limits{Bytes: 8 << 20}, "uncompressed bytes",
			func(w *tar.Writer, raw io.Writer) error {
				if err := w.Close(); err != nil {
					return err
				}
				_, err := io.Copy(raw, zeros{})
				return err
			}},
		{"a sparse file of 100 GB that is short in the archive", flatten.Limits{}, "uncompressed bytes",
			func(w *tar.Writer, raw io.Writer) error {
				_, err := raw.Write(gnuSparse(100 << 30))
				return err
			}},
		{"10 million entries", flatten.Limits{Entries: 20_000}, "entries",
			func(w *tar.Writer, raw io.Writer) error {
				for i := range 10_000_000 {
					if err := w.WriteHeader(&tar.Header{Name: fmt.Sprint(i), Typeflag: tar.TypeReg}); err != nil {
						return err
					}
				}
				return w.Close()
			}},
		{"names that fill the memory", flatten.Limits{Names: 1 << 20}, "bytes of names",
			func(w *tar.Writer, raw io.Writer) error {
				long := strings.Repeat(strings.Repeat("n", 200)+"/", 15)
				for i := 0; ; i++ {
					if err := w.WriteHeader(&tar.Header{Name: long + fmt.Sprint(i), Typeflag: tar.TypeReg}); err != nil {
						return err
					}
				}
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			spool, err := flatten.NewFileSpool(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer spool.Close()
			before := heap()
			_, err = flatten.ReadLayer(t.Context(), stream(t, test.write), spool, flatten.NewBudget(test.limits))
			expectLimit(t, err, test.cap)
			if grown := heap() - before; grown > 64<<20 {
				t.Errorf("heap grew by %d MiB", grown>>20)
			}
		})
	}
}

// TestTreeBombs: layers whose cost shows only when they are applied.
func TestTreeBombs(t *testing.T) {
	t.Parallel()
	limits := flatten.Limits{Entries: 1000}
	deep := func(i int) string { return fmt.Sprintf("%d/", i) + strings.Repeat("d/", 200) + "f" }
	many := make([]entry, 0, 900)
	for i := range 900 {
		many = append(many, entry{Name: deep(i)})
	}
	expectLimit(t, applyAll(t, limits, many), "entries")

	// Every look-up leads through a chain of links, each through the one before.
	maze := []entry{{Name: "l0", Link: strings.Repeat("./", 2000)}}
	for i := 1; i < 30; i++ {
		maze = append(maze, entry{Name: fmt.Sprintf("l%d", i), Link: strings.Repeat("./", 1900) + fmt.Sprintf("l%d/l%d", i-1, i-1)})
	}
	for i := range 400 {
		maze = append(maze, entry{Name: fmt.Sprintf("l29/%d", i)})
	}
	err := applyAll(t, limits, maze)
	var limit *flatten.LimitError
	if !errors.As(err, &limit) {
		t.Errorf("maze of links: got %v", err)
	}
}

func applyAll(t *testing.T, limits flatten.Limits, entries []entry) error {
	t.Helper()
	layer, err := flatten.ReadLayer(t.Context(), stream(t, func(w *tar.Writer, _ io.Writer) error {
		for _, e := range entries {
			h := &tar.Header{Name: e.Name, Typeflag: tar.TypeReg}
			if e.Link != "" {
				h.Typeflag, h.Linkname = tar.TypeSymlink, e.Link
			}
			if err := w.WriteHeader(h); err != nil {
				return err
			}
		}
		return w.Close()
	}), nil, flatten.NewBudget(limits))
	if err != nil {
		return err
	}
	return flatten.NewTree(limits).Apply(layer)
}

func expectLimit(t *testing.T, err error, name string) {
	t.Helper()
	var limit *flatten.LimitError
	if !errors.As(err, &limit) || limit.Cap != name {
		t.Errorf("got %v, want the limit of %s", err, name)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// gnuSparse is the header of an old GNU sparse file without any data.
func gnuSparse(size int64) []byte {
	h := make([]byte, 512)
	copy(h, "sparse")
	copy(h[100:], "0000644\x00")
	copy(h[108:], "0000000\x00")
	copy(h[116:], "0000000\x00")
	copy(h[124:], "00000000000\x00") // bytes in the archive
	copy(h[136:], "00000000000\x00")
	h[156] = 'S'
	copy(h[257:], "ustar  \x00")
	base256 := func(field []byte, v int64) {
		field[0] = 0x80
		for i := range 8 {
			field[len(field)-1-i] = byte(v >> (8 * i))
		}
	}
	base256(h[386:398], size) // one hole up to the end: offset size,
	copy(h[398:], "00000000000\x00")
	base256(h[483:495], size) // real size
	sum := 0
	copy(h[148:], "        ")
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return append(h, make([]byte, 1024)...)
}
