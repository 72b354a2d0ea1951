package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A filesystem in a loop device is either there or refused for a reason; in both
// cases nothing of it remains.
func TestLoopLeavesNothing(t *testing.T) {
	work := t.TempDir()
	l := &loop{kind: "ext4", image: filepath.Join(work, "ext4.img"), dir: filepath.Join(work, "ext4")}
	undo, err := l.mount(t.Context())
	if err != nil && !errors.As(err, new(errCannot)) {
		t.Fatal(err)
	}
	if err == nil {
		if kind := filesystemOf(t.Context(), l.dir); kind != l.kind {
			t.Errorf("mounted is %s", kind)
		}
		if again, err := l.mount(t.Context()); again != nil || err != nil {
			t.Errorf("the second who asks must undo nothing: %v", err)
		}
	} else if _, again := l.mount(t.Context()); !errors.Is(again, err) {
		t.Errorf("the second who asks is told %v, not %v", again, err)
	}
	if undo != nil {
		if err := undo(); err != nil {
			t.Error(err)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), l.dir) {
		t.Errorf("still mounted, or %v", err)
	}
	devices, err := exec.CommandContext(t.Context(), "losetup", "--all").CombinedOutput()
	if err != nil || strings.Contains(string(devices), l.image) {
		t.Errorf("still attached, or %v:\n%s", err, devices)
	}
	if _, err := os.Stat(l.image); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the image is still there: %v", err)
	}
}
