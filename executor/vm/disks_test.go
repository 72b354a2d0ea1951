package vm

import (
	"os"
	"testing"
)

// Disks that waited with a machine have room for any job's outputs afterwards, and leave no name.
func TestDisksGrow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := newDisks(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	for _, step := range []struct{ bytes, want int64 }{
		{0, standardOutput},
		{standardOutput - 1, standardOutput},
		{standardOutput + 1, standardOutput + diskBlock},
	} {
		if err := d.grow(step.bytes); err != nil {
			t.Fatal(err)
		}
		info, err := d.output.Stat()
		if err != nil || info.Size() != step.want {
			t.Errorf("for %d bytes: %d, want %d: %v", step.bytes, info.Size(), step.want, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
