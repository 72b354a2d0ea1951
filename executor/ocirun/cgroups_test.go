//go:build linux

package ocirun

import (
	"maps"
	"testing"
)

func TestParseCgroups(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		own, mounts, v2, hybrid string
		v1                      map[string]string
	}{
		"v2, delegated": {
			own:    "0::/system.slice/pe.service/main\n",
			mounts: "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n",
			v2:     "/sys/fs/cgroup/system.slice/pe.service", hybrid: "/sys/fs/cgroup/system.slice/pe.service/main",
		},
		"v2, in the root: there is no group to make siblings of": {
			own: "0::/\n", mounts: "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", hybrid: "/sys/fs/cgroup",
		},
		"hybrid": {
			own: "4:memory:/box/a\n3:pids:/\n2:cpu,cpuacct:/x\n0::/\n",
			mounts: "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
				"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
				"39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n" +
				"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			v1:     map[string]string{"memory": "/sys/fs/cgroup/memory/box/a", "pids": "/sys/fs/cgroup/pids", "cpu": "/sys/fs/cgroup/cpu,cpuacct/x", "cpuacct": "/sys/fs/cgroup/cpu,cpuacct/x"},
			hybrid: "/sys/fs/cgroup/unified",
		},
		"in a container that sees a part": {
			own:    "4:memory:/docker/abc/in\n",
			mounts: "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
			v1:     map[string]string{"memory": "/sys/fs/cgroup/memory/in"},
		},
	} {
		c := parseCgroups(tc.own, tc.mounts)
		if c.v2 != tc.v2 || c.hybrid != tc.hybrid || !maps.Equal(c.v1, tc.v1) {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
