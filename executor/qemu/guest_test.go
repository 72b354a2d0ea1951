package qemu

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor/qemu/vmlinux"
	"github.com/program-explorer/pe/internal/hosttest"
	"github.com/u-root/u-root/pkg/cpio"
)

// guestModules are what the test guest loads, in order.
var guestModules = []string{
	"virtio/virtio_ring", "virtio/virtio", "virtio/virtio_mmio",
	"char/virtio_console", "block/virtio_blk",
}

// guest is a kernel and an initramfs whose init is testdata/guest.
type guest struct{ kernel, initramfs string }

// readyWait bounds a boot in tests, on a machine that others use too.
const readyWait = 60 * time.Second

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ownerArg {
		os.Exit(ownMachine(os.Args[2:]))
	}
	if filepath.Base(os.Args[0]) == impostorName {
		os.Exit(impostor())
	}
	dir, err := os.MkdirTemp("", "pe-qemu-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	guestDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

var guestDir string

// ownerArg makes the test binary boot a machine, print its instance and process
// id, and wait to be killed.
const ownerArg = "own-machine"

type owned struct {
	Instance string
	PID      int
}

func ownMachine(args []string) int {
	m, err := bootOwned(args)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(owned{m.Instance(), m.PID()})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	select {}
}

func bootOwned(args []string) (*Machine, error) {
	c := guest{kernel: args[0], initramfs: args[1]}.config()
	c.RunDir, c.User = args[2], SlotUser(9)
	// A thread that its caller locked and then leaves behind ends with the
	// goroutine, and must not take the machine with it.
	type result struct {
		m   *Machine
		err error
	}
	results := make(chan result)
	go func() {
		runtime.LockOSThread()
		m, err := Boot(context.Background(), c)
		results <- result{m, err}
	}()
	r := <-results
	return r.m, r.err
}

var builtGuest = sync.OnceValues(func() (guest, error) { return buildGuest(guestDir) })

// needGuest returns the test guest, or skips where its parts are missing, or
// fails where PE_REQUIRE_ALL=1 says that they must be there.
func needGuest(t testing.TB) guest {
	t.Helper()
	missing := ""
	if _, err := FindBinary("amd64"); err != nil {
		missing = err.Error() + ": install the package qemu-system-x86"
	} else if found, _ := filepath.Glob(filepath.Join(kernelDir(), "boot", "vmlinuz-*")); len(found) == 0 {
		missing = "no amd64 kernel in the cache: run deploy/kernels.sh amd64"
	}
	if missing != "" {
		lacks(t, "%s", missing)
	}
	g, err := builtGuest()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// lacks skips a test for what this machine has not, or fails it where
// PE_REQUIRE_ALL=1 says that the machine was set up.
func lacks(t testing.TB, format string, a ...any) {
	t.Helper()
	if os.Getenv("PE_REQUIRE_ALL") == "1" {
		t.Fatalf(format, a...)
	}
	t.Skipf(format, a...)
}

func kernelDir() string {
	cache := os.Getenv("PE_CACHE")
	if cache == "" {
		cache = "../../.cache"
	}
	return filepath.Join(cache, "kernels", "amd64")
}

func buildGuest(dir string) (guest, error) {
	g := guest{kernel: filepath.Join(dir, "kernel"), initramfs: filepath.Join(dir, "initramfs")}
	if err := os.Chmod(dir, 0o755); err != nil {
		return g, err
	}
	found, _ := filepath.Glob(filepath.Join(kernelDir(), "boot", "vmlinuz-*"))
	image, err := os.ReadFile(found[0])
	if err != nil {
		return g, err
	}
	elf, err := vmlinux.ForQEMU("amd64", image)
	if err != nil {
		return g, err
	}
	if err := os.WriteFile(g.kernel, elf, 0o644); err != nil {
		return g, err
	}
	programs, err := hosttest.Build{Into: dir, Packages: []string{"./testdata/guest"}, Env: []string{"GOARCH=amd64"}}.Static().Make()
	if err != nil {
		return g, err
	}
	var archive bytes.Buffer
	if err := writeInitramfs(&archive, programs.Path("guest")); err != nil {
		return g, err
	}
	return g, os.WriteFile(g.initramfs, archive.Bytes(), 0o644)
}

func writeInitramfs(out *bytes.Buffer, initPath string) error {
	init, err := os.ReadFile(initPath)
	if err != nil {
		return err
	}
	records := []cpio.Record{
		cpio.Directory("dev", 0o755),
		cpio.CharDev("dev/console", 0o600, 5, 1),
		cpio.StaticFile("init", string(init), 0o755),
	}
	var names strings.Builder
	for _, m := range guestModules {
		found, _ := filepath.Glob(filepath.Join(kernelDir(), "lib/modules/*/kernel/drivers", m+".ko"))
		if len(found) != 1 {
			return fmt.Errorf("find module %s: %d files", m, len(found))
		}
		b, err := os.ReadFile(found[0])
		if err != nil {
			return err
		}
		records = append(records, cpio.StaticFile(filepath.Base(m)+".ko", string(b), 0o644))
		fmt.Fprintln(&names, filepath.Base(m)+".ko")
	}
	records = append(records, cpio.StaticFile("modules.txt", names.String(), 0o644))
	w := cpio.Newc.Writer(out)
	if err := cpio.WriteRecords(w, records); err != nil {
		return err
	}
	return cpio.WriteTrailer(w)
}

// config is a small machine with the test guest.
func (g guest) config() Config {
	return Config{Arch: "amd64", Memory: 256 << 20, Kernel: g.kernel, Initramfs: g.initramfs}
}

// boot boots c, ends it with the test, and returns a talk with its guest, which
// has said that it is ready.
func boot(t testing.TB, c Config) (*Machine, *talk) {
	t.Helper()
	m, err := Boot(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	talk := newTalk(t, m)
	if got := talk.hear(); got != "ready" {
		t.Fatalf("guest said %q, want ready; console:\n%s", got, m.Console())
	}
	return m, talk
}

type talk struct {
	t    testing.TB
	m    *Machine
	conn net.Conn
	in   *bufio.Scanner
}

func newTalk(t testing.TB, m *Machine) *talk {
	return &talk{t: t, m: m, conn: m.Channel(), in: bufio.NewScanner(m.Channel())}
}

func (k *talk) hear() string {
	k.t.Helper()
	if err := k.conn.SetReadDeadline(time.Now().Add(readyWait)); err != nil {
		k.t.Fatal(err)
	}
	if !k.in.Scan() {
		k.t.Fatalf("guest is silent: %v, machine: %v; console:\n%s", k.in.Err(), k.m.Err(), k.m.Console())
	}
	return k.in.Text()
}

func (k *talk) ask(format string, a ...any) string {
	k.t.Helper()
	k.say(format, a...)
	return k.hear()
}

func (k *talk) say(format string, a ...any) {
	k.t.Helper()
	if _, err := fmt.Fprintf(k.conn, format+"\n", a...); err != nil {
		k.t.Fatal(err)
	}
}
