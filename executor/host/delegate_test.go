package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestUnifiedGroup(t *testing.T) {
	t.Parallel()
	const mounts = "24 1 0:22 / /proc rw - proc proc rw\n30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
	for own, want := range map[string]string{
		"0::/system.slice/ped-executor.service\n":      "/sys/fs/cgroup/system.slice/ped-executor.service",
		"12:memory:/a\n0::/user.slice/b.service/ped\n": "/sys/fs/cgroup/user.slice/b.service/ped",
		"12:memory:/a\n": "",
	} {
		if got := unifiedGroup(own, mounts); got != want {
			t.Errorf("unifiedGroup(%q) = %q, want %q", own, got, want)
		}
	}
	if got := unifiedGroup("0::/a\n", "30 24 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"); got != "" {
		t.Errorf("a part of the hierarchy gives %q", got)
	}
}

// TestTakeDelegated plays with folders what the kernel does with groups.
func TestTakeDelegated(t *testing.T) {
	t.Parallel()
	const (
		all         = "cpuset cpu io memory pids\n"
		controllers = "+cpu +memory +pids"
		self        = "0"
	)
	for name, c := range map[string]struct {
		mark, own, offers  string // the group that is marked, ours, and what each may give on
		wantProcs, wantSub string // the files that are to be written
	}{
		"systemd before 254":               {"unit", "unit", all, "unit/ped/cgroup.procs", "unit/cgroup.subtree_control"},
		"DelegateSubgroup":                 {"unit", "unit/ped", all, "", "unit/cgroup.subtree_control"},
		"version 1 beside it":              {"unit", "unit", "\n", "", ""},
		"nothing delegated":                {"", "unit", all, "", ""},
		"delegated to somebody further up": {"unit", "unit/a/b", all, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.MkdirAll(filepath.Join(root, "unit", "a", "b"), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, group := range []string{"unit", "unit/a", "unit/a/b"} {
				if err := os.WriteFile(filepath.Join(root, group, "cgroup.controllers"), []byte(c.offers), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			marked := func(dir string) bool { return c.mark != "" && dir == filepath.Join(root, c.mark) }
			for _, file := range []string{"unit/ped/cgroup.procs", "unit/cgroup.subtree_control"} {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(root, file), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := takeDelegated(filepath.Join(root, c.own), marked); err != nil {
				t.Fatal(err)
			}
			for file, want := range map[string]string{"unit/ped/cgroup.procs": self, "unit/cgroup.subtree_control": controllers} {
				if file != c.wantProcs && file != c.wantSub {
					want = ""
				}
				if got, err := os.ReadFile(filepath.Join(root, file)); err != nil || string(got) != want {
					t.Errorf("%s holds %q, %v, want %q", file, got, err, want)
				}
			}
		})
	}
}
