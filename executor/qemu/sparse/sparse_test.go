package sparse

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func create(t *testing.T, size int64, parts map[int64][]byte) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for at, b := range parts {
		if _, err := f.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func digest(t *testing.T, f *os.File, size int64) string {
	t.Helper()
	d, err := Digest(f, size)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func allocated(t *testing.T, f *os.File) int64 {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks * 512
}

func TestCopy(t *testing.T) {
	t.Parallel()
	random := rand.NewPCG(1, 2)
	noise := make([]byte, 3*chunk+17)
	for i := range noise {
		noise[i] = byte(random.Uint64())
	}
	for name, c := range map[string]struct {
		size  int64
		parts map[int64][]byte
	}{
		"empty":          {0, nil},
		"one hole":       {5 * chunk, nil},
		"all data":       {int64(len(noise)), map[int64][]byte{0: noise}},
		"short last":     {2*page + 5, map[int64][]byte{2 * page: []byte("last!")}},
		"only last byte": {chunk + page + 1, map[int64][]byte{chunk + page: {7}}},
		"zeros written":  {4 * chunk, map[int64][]byte{page: make([]byte, 2*chunk), 3 * chunk: {1}}},
		"islands":        {64 * page, map[int64][]byte{page - 1: {1, 2}, 9 * page: {3}, 40*page + 5: noise[:9*page]}},
	} {
		from := create(t, c.size, c.parts)
		to := create(t, 0, nil)
		if _, err := Copy(to, from, c.size); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, _ := io.ReadAll(io.NewSectionReader(from, 0, c.size))
		got, _ := io.ReadAll(to)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the copy differs", name)
		}
		if digest(t, from, c.size) != digest(t, to, c.size) {
			t.Errorf("%s: the copy has another digest", name)
		}
		if allocated(t, to) > allocated(t, from) {
			t.Errorf("%s: the copy takes %d bytes, its source %d", name, allocated(t, to), allocated(t, from))
		}
	}
}

// TestDigest flips single bits, in data and in holes.
func TestDigest(t *testing.T) {
	t.Parallel()
	const size = 2 * chunk
	f := create(t, size, map[int64][]byte{chunk: []byte("something")})
	want := digest(t, f, size)
	for _, at := range []int64{0, page, chunk, chunk + 3, size - 1} {
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		for _, flip := range []byte{0x10, 0} {
			if _, err := f.WriteAt([]byte{b[0] ^ flip}, at); err != nil {
				t.Fatal(err)
			}
			if same := digest(t, f, size) == want; same != (flip == 0) {
				t.Errorf("byte %d with %#x flipped: digest the same: %v", at, flip, same)
			}
		}
	}
	if digest(t, f, size-page) == want {
		t.Error("a shorter file has the same digest")
	}
	if _, err := Digest(f, size+1); err == nil {
		t.Error("a file was digested beyond its end")
	}
}

// TestLarge takes seconds, not milliseconds, if holes are read.
func TestLarge(t *testing.T) {
	t.Parallel()
	const size = 1 << 40
	f := create(t, size, map[int64][]byte{size / 2: {1}})
	to := create(t, 0, nil)
	if n, err := Copy(to, f, size); err != nil || n != page {
		t.Errorf("copied %d bytes, %v", n, err)
	}
	if digest(t, f, size) != digest(t, to, size) {
		t.Error("the copy has another digest")
	}
}

func TestTrim(t *testing.T) {
	t.Parallel()
	const size = 8*chunk + 5
	ones := bytes.Repeat([]byte{1}, chunk)
	f := create(t, size, map[int64][]byte{
		0: make([]byte, chunk), chunk: ones, 2*chunk + 1: make([]byte, chunk), 5 * chunk: ones, size - 5: []byte("short"),
		6 * chunk: make([]byte, page), 6*chunk + page: {1},
	})
	want, before := digest(t, f, size), allocated(t, f)
	if err := Trim(f, size); err != nil {
		t.Fatal(err)
	}
	if digest(t, f, size) != want {
		t.Error("the content has changed")
	}
	if got := allocated(t, f); got > before-2*chunk+64<<10 {
		t.Errorf("takes %d bytes, %d before", got, before)
	}
	info, err := f.Stat()
	if err != nil || info.Size() != size {
		t.Errorf("size %d, %v", info.Size(), err)
	}
}
