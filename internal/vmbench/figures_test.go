package vmbench

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		list []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := Median(c.list); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.list, got, c.want)
		}
	}
}

func TestSlope(t *testing.T) {
	t.Parallel()
	noise := [][2]int64{}
	for x := range int64(100) {
		noise = append(noise, [2]int64{x, 5000 + 7*x + 40*(x%2)})
	}
	for _, c := range []struct {
		points [][2]int64
		want   float64
	}{{nil, 0}, {[][2]int64{{1, 9}}, 0}, {[][2]int64{{1, 9}, {2, 9}, {3, 9}}, 0}, {noise, 7}} {
		if got := slope(c.points); math.Abs(got-c.want) > 0.05 {
			t.Errorf("slope of %d points is %v, want %v", len(c.points), got, c.want)
		}
	}
}

// TestCountsWhatIsLeft leaves one of each, a dead child among them.
func TestCountsWhatIsLeft(t *testing.T) {
	b := &bench{Config: Config{Watch: []string{t.TempDir()}}}
	before := b.count()
	if err := os.WriteFile(filepath.Join(b.Watch[0], "disk-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("true")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	left := b.count().less(before)
	// A child's process may take a descriptor, too: its handle.
	if left.Processes != 1 || left.FDs < 1 || left.FDs > 2 || left.Files != 1 || !left.Any() {
		t.Errorf("left: %+v", left)
	}
	_ = f.Close()
	_ = child.Wait()
	_ = os.Remove(filepath.Join(b.Watch[0], "disk-1"))
	if left := b.count().less(before); left.Any() {
		t.Errorf("all is gone, and left is %+v", left)
	}
}

// TestExclusive counts blocks that are written, and of a hard link nothing.
func TestExclusive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shared := filepath.Join(t.TempDir(), "shared")
	if err := os.WriteFile(shared, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(shared, filepath.Join(dir, "rootfs")); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "ram"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 30); err != nil {
		t.Fatal(err)
	}
	written := make([]byte, 1<<20)
	for i := range written {
		written[i] = byte(i)
	}
	// More extents than are asked for at once.
	for i := range int64(300) {
		if _, err := f.WriteAt(written[:8192], i<<20); err != nil {
			t.Fatal(err)
		}
	}
	got, err := exclusive(dir)
	if want := int64(300 * 8192); err != nil || got < want || got > want+want/4 {
		t.Errorf("%d bytes, %v, want about %d", got, err, want)
	}
}
