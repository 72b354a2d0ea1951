package snapshot

import (
	"bufio"
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
)

// The test binary is its own other processes: the first argument says which.
const (
	bakeArg    = "bake-in-a-process" // dir, rootfs, content: bakes, and waits for a line in the middle of it
	intrudeArg = "intrude"           // paths: tries to write to each
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case bakeArg:
			os.Exit(bakeProcess(os.Args[2], os.Args[3], os.Args[4]))
		case intrudeArg:
			os.Exit(intrude(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

// bakeProcess says "baking" in the middle of its bake, and "done" at its end.
func bakeProcess(dir, rootfs, content string) int {
	s, err := Open(Config{Dir: dir})
	if err == nil {
		_, _, err = s.Get(context.Background(), keyOf(content), rootfs, func(ctx context.Context, d Draft) (json.RawMessage, error) {
			note, err := pretend(ctx, d)
			if err != nil {
				return nil, err
			}
			fmt.Println("baking")
			_, err = bufio.NewReader(os.Stdin).ReadString('\n')
			return note, err
		})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("done")
	return 0
}

type baker struct {
	cmd  *exec.Cmd
	out  *bufio.Scanner
	gate interface{ Write([]byte) (int, error) }
}

func startBaker(t *testing.T, dir, rootfs, content string) baker {
	t.Helper()
	b := baker{cmd: exec.Command(os.Args[0], bakeArg, dir, rootfs, content)}
	b.cmd.Stderr = os.Stderr
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	b.out = bufio.NewScanner(out)
	if b.gate, err = b.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.cmd.Process.Kill(); _ = b.cmd.Wait() })
	return b
}

func (b baker) hear(t *testing.T, want string) {
	t.Helper()
	if !b.out.Scan() || b.out.Text() != want {
		t.Fatalf("baker says %q, want %q", b.out.Text(), want)
	}
}

// TestCrash kills a process in the middle of its bake. Those who come later find nothing of
// it, not even the next who opens the store before anybody bakes.
func TestCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rootfs, key := image(t, "an image")
	dying := startBaker(t, dir, rootfs, "an image")
	dying.hear(t, "baking")

	s := openStore(t, dir)
	if got := names(t, dir, bakingDir); len(got) != 2 {
		t.Errorf("a living process's bake was swept: %v", got)
	}
	waiting := startBaker(t, dir, rootfs, "an image")
	if err := dying.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	waiting.hear(t, "baking")
	if err := waiting.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = waiting.cmd.Wait()
	if got := names(t, dir, bakingDir); len(got) != 2 {
		t.Fatalf("no half bake to sweep: %v", got)
	}
	openStore(t, dir)
	if got := append(names(t, dir, bakingDir), names(t, dir, readyDir)...); len(got) > 0 {
		t.Errorf("left of two crashes: %v", got)
	}
	get(t, s, key, rootfs, pretend)
}

// TestTwoProcesses want the same snapshot at once: one bakes, the other gets it.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rootfs, key := image(t, "an image")
	first := startBaker(t, dir, rootfs, "an image")
	first.hear(t, "baking")
	second := startBaker(t, dir, rootfs, "an image")
	if _, err := first.gate.Write([]byte("go on\n")); err != nil {
		t.Fatal(err)
	}
	first.hear(t, "done")
	second.hear(t, "done") // without "baking"
	get(t, openStore(t, dir), key, rootfs, never)
}

// intrude prints what comes of writing to each path.
func intrude(paths []string) int {
	for _, p := range paths {
		f, err := os.OpenFile(p, os.O_RDWR, 0)
		if err == nil {
			_, err = f.WriteAt([]byte("x"), 0)
		}
		var reason syscall.Errno
		errors.As(err, &reason)
		fmt.Println(int(reason))
	}
	return 0
}

// TestUserCantWrite tries to write to a snapshot as the user that QEMU runs as. (By the
// descriptors of a running QEMU: see package qemu's TestTemplateCantBeWritten.)
func TestUserCantWrite(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("not root: can't be another user")
	}
	dir := t.TempDir()
	rootfs, key := image(t, "an image")
	snap, id := get(t, openStore(t, dir), key, rootfs, pretend)
	// As if a configuration error had opened the folder: the files' own modes still count.
	for _, p := range []string{filepath.Dir(dir), dir, filepath.Join(dir, readyDir), filepath.Join(dir, readyDir, id)} {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "test")
	if _, err := Copy(binary, "/proc/self/exe"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(binary, 0o755); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, name := range []string{ramFile, stateFile, rootfsFile, manifestFile, useFile} {
		paths = append(paths, filepath.Join(dir, readyDir, id, name))
	}
	cmd := exec.Command(binary, append([]string{intrudeArg, "/proc/self/fd/3"}, paths...)...)
	cmd.Env = []string{"GOCOVERDIR=" + os.DevNull}
	cmd.ExtraFiles = []*os.File{snap.Rootfs()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1_900_000_033, Gid: 1_900_000_033, Groups: []uint32{}}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range strings.Fields(string(out)) {
		if got != fmt.Sprint(int(syscall.EACCES)) {
			t.Errorf("%s: errno %s, want EACCES", append([]string{"rootfs's descriptor"}, paths...)[i], got)
		}
	}
	if n := len(strings.Fields(string(out))); n != len(paths)+1 {
		t.Errorf("%d answers", n)
	}
	if err := snap.store.Verify(t.Context(), id); err != nil {
		t.Error(err)
	}
}
