package pool

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

func TestReserve(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ reserve, total, want int64 }{
		{0, 100 * gib, 10 * gib}, {0, 4 * gib, 512 * mib}, {0, 1 * gib, 256 * mib}, {7, gib, 7},
	} {
		if got := reserveOf(c.reserve, c.total); got != c.want {
			t.Errorf("reserve of %d for %d: got %d, want %d", c.reserve, c.total, got, c.want)
		}
	}
}

// tree writes files below a folder of its own.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestMemoryGroups(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  string // dir total left, for each that is bounded
	}{
		"version 2, bounded above us": {map[string]string{
			"proc/self/cgroup":                        "0::/pe.slice/pe.service\n",
			"proc/self/mountinfo":                     "29 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n",
			"cg/pe.slice/memory.max":                  "1000\n",
			"cg/pe.slice/memory.current":              "700\n",
			"cg/pe.slice/memory.stat":                 "anon 500\ninactive_file 100\nactive_file 100\n",
			"cg/pe.slice/pe.service/memory.max":       "max\n",
			"cg/pe.slice/pe.service/memory.current":   "600\n",
			"cg/pe.slice/pe.service/memory.stat":      "inactive_file 1\n",
			"cg/pe.slice/pe.service/cgroup.something": "",
		}, "/cg/pe.slice 1000 400"},
		"version 1": {map[string]string{
			"proc/self/cgroup": "4:memory:/a/b\n3:cpu:/\n1:name=systemd:/\n0::/\n",
			"proc/self/mountinfo": "30 24 0:27 / /cg/memory rw shared:9 - cgroup cgroup rw,memory\n" +
				"31 24 0:28 / /cg/cpu rw - cgroup cgroup rw,cpu\n41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n",
			"cg/memory/memory.limit_in_bytes":     "9223372036854771712\n",
			"cg/memory/memory.usage_in_bytes":     "5\n",
			"cg/memory/a/memory.limit_in_bytes":   "500\n",
			"cg/memory/a/memory.usage_in_bytes":   "400\n",
			"cg/memory/a/memory.stat":             "inactive_file 1\ntotal_inactive_file 30\n",
			"cg/memory/a/b/memory.limit_in_bytes": "200\n",
			"cg/memory/a/b/memory.usage_in_bytes": "100\n",
		}, "/cg/memory/a/b 200 100, /cg/memory/a 500 130"},
		"in a container": {map[string]string{
			"proc/self/cgroup":              "4:memory:/docker/abc\n",
			"proc/self/mountinfo":           "30 24 0:27 /docker/abc /cg rw - cgroup cgroup rw,memory\n",
			"cg/memory.limit_in_bytes":      "500\n",
			"cg/memory.usage_in_bytes":      "400\n",
			"memory.limit_in_bytes":         "1\n",
			"memory.usage_in_bytes":         "1\n",
			"docker/memory.limit_in_bytes":  "1\n",
			"docker/memory.usage_in_bytes":  "1\n",
			"cg/docker/memory.limit_in_b":   "",
			"cg/other/memory.usage_in_byte": "",
		}, "/cg 500 100"},
		"another's mount": {map[string]string{
			"proc/self/cgroup":         "4:memory:/docker/abcdef\n",
			"proc/self/mountinfo":      "30 24 0:27 /docker/abc /cg rw - cgroup cgroup rw,memory\n",
			"cg/memory.limit_in_bytes": "500\n",
			"cg/memory.usage_in_bytes": "400\n",
		}, ""},
		"junk":    {map[string]string{"proc/self/cgroup": "x\n::\n", "proc/self/mountinfo": "1 2 3\n - cgroup\n - cgroup2 x y\n"}, ""},
		"nothing": {nil, ""},
	} {
		root := tree(t, c.files)
		var got []string
		for _, m := range memoryGroups(root) {
			if total, left, ok := m.read(m.dir); ok {
				got = append(got, fmt.Sprintf("%s %d %d", strings.TrimPrefix(m.dir, root), total, left))
			}
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s: got %q, want %q", name, s, c.want)
		}
	}
}

// TestHostMemory holds what we read to what the host really has.
func TestHostMemory(t *testing.T) {
	t.Parallel()
	total, left, ok := hostMemory("")
	if !ok || total < 64*mib || left > total {
		t.Fatalf("the host has %d bytes, %d of them left, %t", total, left, ok)
	}
	if !MemoryPressure(total)() {
		t.Error("a reserve of all that there is leaves the host at ease")
	}
	if MemoryPressure(1)() {
		t.Error("one byte in reserve is too much")
	}
}

// TestRealLimit puts a process under a limit of its own and has it use memory.
func TestRealLimit(t *testing.T) {
	t.Parallel()
	dir := limited(t, 256*mib)
	cmd := exec.Command(os.Args[0], "-test.run=^TestUnderLimit$", "-test.count=1")
	cmd.Env = append(os.Environ(), "PE_POOL_LIMITED=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i, want := range []string{"at ease", "pressed"} {
		if _, err := io.WriteString(in, "go\n"); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("step %d: %q, %v; want %q", i, lines.Text(), lines.Err(), want)
		}
	}
}

// TestUnderLimit is the process of TestRealLimit.
func TestUnderLimit(t *testing.T) {
	if os.Getenv("PE_POOL_LIMITED") == "" {
		return
	}
	in := bufio.NewScanner(os.Stdin)
	for _, size := range []int{4096, 140 * mib} {
		in.Scan() // from now on we are in the cgroup
		// Not of Go's own memory, of which a race detector would make several times as much.
		if _, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
			syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS|syscall.MAP_POPULATE); err != nil {
			fmt.Println(err)
		}
		if MemoryPressure(128 * mib)() {
			fmt.Println("pressed")
		} else {
			fmt.Println("at ease")
		}
	}
	os.Exit(0) // no more words
}

// limited makes a cgroup with that much memory, where the host lets us.
func limited(t *testing.T, bytes int64) string {
	t.Helper()
	file := "memory.limit_in_bytes"
	groups := memoryGroups("/")
	if len(groups) == 0 {
		lacks(t, "no cgroups with memory here")
	}
	dir := filepath.Join(groups[0].dir, "pe-pool-test-"+strconv.Itoa(os.Getpid()))
	for _, g := range groups {
		if _, err := os.Stat(filepath.Join(g.dir, file)); err == nil {
			dir = filepath.Join(g.dir, filepath.Base(dir))
			break
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		lacks(t, "no cgroups for us: run as root: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
		file = "memory.max"
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(strconv.FormatInt(bytes, 10)), 0); err != nil {
		lacks(t, "cgroups don't bound memory here: %v", err)
	}
	return dir
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
