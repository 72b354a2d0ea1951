package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestBackgroundByCgroup(t *testing.T) {
	t.Parallel()
	g := needGuest(t)
	groups, err := FindCgroups()
	if err != nil {
		lacks(t, "%v", err)
	}
	file, low, normal := "cpu.shares", "102", "1024"
	if groups.v2 != "" {
		file, low, normal = "cpu.weight", "10", "100"
	}
	c := g.config()
	c.Cgroups, c.User, c.Background = groups, SlotUser(12), true
	m, _ := boot(t, c)
	weight := func() string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(m.process.cgroup[len(m.process.cgroup)-1], file))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	if got := weight(); got != low {
		t.Errorf("%s in the background: %s, want %s", file, got, low)
	}
	for range 2 {
		if err := m.Foreground(); err != nil {
			t.Error(err)
		}
		if got := weight(); got != normal {
			t.Errorf("%s in the foreground: %s, want %s", file, got, normal)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.Foreground(); err == nil {
		t.Error("a machine that has ended came to the foreground")
	}
}

// nices are those of all threads of a process, and its session's.
func nices(t *testing.T, pid int) (threads []int, session string) {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		tid, _ := strconv.Atoi(task.Name())
		n, err := niceOf(tid)
		if err != nil {
			t.Fatal(err)
		}
		threads = append(threads, n)
	}
	group, err := os.ReadFile(fmt.Sprintf("/proc/%d/autogroup", pid))
	if err != nil {
		return threads, "" // this kernel has none
	}
	_, session, _ = strings.Cut(strings.TrimSpace(string(group)), " ")
	return threads, session
}

func TestBackgroundByNiceness(t *testing.T) {
	t.Parallel()
	g := needGuest(t)
	if os.Getuid() != 0 {
		lacks(t, "not root: what was made nice can't be brought back, so nothing is")
	}
	own, err := niceOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	c := g.config()
	c.User, c.CPUs, c.Background = SlotUser(13), 2, true
	m, _ := boot(t, c)
	if m.process.raise == nil {
		lacks(t, "no CAP_SYS_NICE: what was made nice can't be brought back, so nothing is")
	}
	check := func(nice int, session string) {
		t.Helper()
		threads, of := nices(t, m.PID())
		if len(threads) < 3 || slices.ContainsFunc(threads, func(n int) bool { return n != nice }) {
			t.Errorf("threads have niceness %v, want %d for each", threads, nice)
		}
		if of != "" && of != "nice "+session {
			t.Errorf("session has %q, want nice %s", of, session)
		}
	}
	check(own+lowNice, strconv.Itoa(lowNice))
	if err := m.Foreground(); err != nil {
		t.Error(err)
	}
	check(own, "0")
}

func TestForegroundIsNoOther(t *testing.T) {
	t.Parallel()
	m, _ := boot(t, needGuest(t).config())
	before, _ := nices(t, m.PID())
	if err := m.Foreground(); err != nil {
		t.Error(err)
	}
	if after, _ := nices(t, m.PID()); before[0] != after[0] {
		t.Errorf("niceness %v became %v", before, after)
	}
}

// TestWeigh is for both versions, of which a host has one.
func TestWeigh(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		groups Cgroups
		dirs   int
		want   string
	}{{Cgroups{v2: "x"}, 1, "cpu.weight 10"}, {Cgroups{memory: "x", cpu: "y"}, 2, "cpu.shares 102"}} {
		var g cgroup
		for range c.dirs {
			g = append(g, t.TempDir())
		}
		// A cgroup has its files already: without them, this would be no such group.
		name, value, _ := strings.Cut(c.want, " ")
		path := filepath.Join(g[c.dirs-1], name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.groups.weigh(g, lowWeight, lowShares); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != value {
			t.Errorf("%s: %q, %v, want %s", name, b, err, value)
		}
	}
}
