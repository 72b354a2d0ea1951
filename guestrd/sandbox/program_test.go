package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestLookupProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for path, mode := range map[string]os.FileMode{"a/tool": 0o755, "b/tool": 0o755, "a/data": 0o644, "b/data": 0o755, "a/none": 0o600} {
		full := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"PATH=" + dir + "/a:" + dir + "/b"}
	me := credentials{uid: uint32(os.Getuid()), gid: uint32(os.Getgid())}
	for _, tc := range []struct {
		name, cwd, want string
		code            int
	}{
		{"tool", "/", dir + "/a/tool", 0},
		{"data", "/", dir + "/b/data", 0}, // the first match that can be run, as a shell does
		{"none", "/", "", notExecutable},
		{"absent", "/", "", notFound},
		{"./tool", dir + "/b", dir + "/b/tool", 0},
		{"../a/tool", dir + "/b", dir + "/a/tool", 0},
		{dir + "/a", "/", "", notExecutable},
		{dir + "/a/tool/x", "/", "", notFound},
	} {
		got, err := lookupProgram(tc.name, tc.cwd, env, me)
		var r *refusal
		if tc.code == 0 && (err != nil || got != tc.want) || tc.code != 0 && (!errors.As(err, &r) || r.code != tc.code) {
			t.Errorf("%s: %q, %v; want %q, %d", tc.name, got, err, tc.want, tc.code)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	got := environment([]string{"HOMEX=1", "PATH=/x"}, credentials{home: "/root"})
	if len(got) != 3 || got[2] != "HOME=/root" {
		t.Errorf("%q", got)
	}
}

func TestExecErrors(t *testing.T) {
	t.Parallel()
	for err, code := range map[syscall.Errno]int{syscall.ENOENT: notFound, syscall.EACCES: notExecutable, syscall.EINVAL: notExecutable, syscall.EIO: 0} {
		var r *refusal
		if got := execError("x", err); errors.As(got, &r) != (code != 0) || r != nil && r.code != code {
			t.Errorf("%v: %v, want %d", err, got, code)
		}
	}
}
