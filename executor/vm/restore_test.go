package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// A snapshot is not to blame for a host that lacks something, and for all else it is.
func TestLacksRoom(t *testing.T) {
	t.Parallel()
	ended := func(script string) *os.ProcessState {
		cmd := exec.Command("/bin/sh", "-c", script)
		_ = cmd.Run() // it fails
		return cmd.ProcessState
	}
	for name, c := range map[string]struct {
		why  error
		want bool
	}{
		"descriptors":         {fmt.Errorf("start QEMU: %w", &os.PathError{Op: "open", Err: syscall.EMFILE}), true},
		"memory":              {&qemu.ExitError{State: ended("kill -KILL $$")}, true},
		"killed by us":        {&qemu.ExitError{Killed: context.DeadlineExceeded, State: ended("kill -KILL $$")}, false},
		"an abort":            {&qemu.ExitError{State: ended("kill -ABRT $$")}, false},
		"a state of another":  {&qemu.ExitError{State: ended("exit 1")}, false},
		"a guest that is off": {errors.New("guest hung"), false},
	} {
		if got := lacksRoom(fmt.Errorf("restore machine: %w", c.why)); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// A guest that an older executor has baked is not spoken to in words that it would misread.
func TestGuestOfAnotherProtocol(t *testing.T) {
	t.Parallel()
	store, err := snapshot.Open(snapshot.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	rootfs := filepath.Join(t.TempDir(), "image.erofs")
	if err := os.WriteFile(rootfs, []byte("image"), 0o600); err != nil {
		t.Fatal(err)
	}
	image, err := digestOf(rootfs)
	if err != nil {
		t.Fatal(err)
	}
	const memory = 1 << 20
	key := snapshot.Key{Recipe: []string{"any"}, Memory: memory, QEMU: image, Kernel: image, Initramfs: image, Rootfs: image}
	snap, _, err := store.Get(t.Context(), key, rootfs, func(_ context.Context, d snapshot.Draft) (json.RawMessage, error) {
		_, err := d.State.WriteString("state")
		note, err2 := json.Marshal(Note{Ready: guestproto.Ready{Protocol: guestproto.Version - 1}})
		return note, errors.Join(err, err2, d.RAM.Truncate(memory))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	if _, err := (&Runner{}).revive(t.Context(), order{}, snap); err == nil || !strings.Contains(err.Error(), "protocol") {
		t.Errorf("error %v", err)
	}
}
