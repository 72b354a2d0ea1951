package qemu

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestParseCgroups(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		own, mounts string
		want        Cgroups
	}{
		"version 2": {
			"0::/system.slice/pe.service/main\n",
			"29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			Cgroups{v2: "/sys/fs/cgroup/system.slice/pe.service"},
		},
		"version 2, at its root": {
			"0::/\n", "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", Cgroups{},
		},
		"version 1": {
			"4:memory:/a/b\n3:cpu,cpuacct:/\n1:name=systemd:/\n",
			"30 24 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n" +
				"31 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
				"32 24 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n",
			Cgroups{memory: "/sys/fs/cgroup/memory/a/b", cpu: "/sys/fs/cgroup/cpu,cpuacct"},
		},
		"in a container": {
			"4:memory:/docker/abc/x\n",
			"30 24 0:27 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
			Cgroups{memory: "/sys/fs/cgroup/memory/x"},
		},
		"junk": {"x\n::\n", "1 2 3\n - cgroup\n", Cgroups{}},
	} {
		if got := *parseCgroups(c.own, c.mounts); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

// A process that was killed in the middle of its trial may have had our number.
func TestTrialsAreForgotten(t *testing.T) {
	t.Parallel()
	groups, err := FindCgroups()
	if err != nil {
		lacks(t, "%v", err)
	}
	left := groups.folders(trialName + strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(left[0], 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := FindCgroups(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(left[0]); err == nil {
		t.Errorf("%s is left", left[0])
	}
}

func TestCgroupBoundsQEMU(t *testing.T) {
	t.Parallel()
	g := needGuest(t)
	groups, err := FindCgroups()
	if err != nil {
		lacks(t, "%v", err)
	}
	c := g.config()
	c.Cgroups, c.User = groups, SlotUser(11)
	m, err := Boot(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	own, err := os.ReadFile("/proc/" + strconv.Itoa(m.PID()) + "/cgroup")
	if err != nil || strings.Count(string(own), "/pe-"+m.Instance()+"\n") != len(groups.parents()) {
		t.Errorf("QEMU is in\n%s, %v", own, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range m.process.cgroup {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is left", dir)
		}
	}
}
