package hosttest

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
)

func TestSeededIsRepeated(t *testing.T) {
	t.Setenv("PE_SEED", "7")
	if a, b := Seeded(t).Uint64(), Seeded(t).Uint64(); a != b {
		t.Errorf("%d, then %d", a, b)
	}
}

func TestFreeAddress(t *testing.T) {
	t.Parallel()
	address, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestDescendants(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	cmd := exec.CommandContext(t.Context(), "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	listed := func() bool {
		return slices.ContainsFunc(Descendants(os.Getpid()), func(p Process) bool { return p.PID == pid })
	}
	if !listed() || !Running(pid) {
		t.Errorf("%d runs, and is listed: %v, running: %v", pid, listed(), Running(pid))
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if listed() || Running(pid) {
		t.Errorf("%d has ended, and is listed: %v, running: %v", pid, listed(), Running(pid))
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	for stat, want := range map[string]Process{
		"12 (pe-vm) S 7 12 12 0":   {PID: 12, Parent: 7, Name: "pe-vm", state: "S"},
		"12 (a) b (c) Z 1 12 12 0": {PID: 12, Parent: 1, Name: "a) b (c", state: "Z"},
		"":                         {},
		"12 (pe-vm":                {},
	} {
		if got := parseStat(stat); got != want {
			t.Errorf("%q is %+v, want %+v", stat, got, want)
		}
	}
}

func TestParseMounts(t *testing.T) {
	t.Parallel()
	got := parseMounts("proc /proc proc rw 0 0\n/a\\040b/c.img /mnt/d\\011e\\134f erofs ro 0 0\nshort\n")
	want := []Mount{{"proc", "/proc", "proc"}, {"/a b/c.img", "/mnt/d\te\\f", "erofs"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
