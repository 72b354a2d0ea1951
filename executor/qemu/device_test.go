package qemu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDeviceState(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		lacks(t, "giving a file to another group takes root")
	}
	user := &Credential{UID: UserBase, GID: UserBase}
	for _, c := range []struct {
		name string
		mode os.FileMode
		gid  int
		user *Credential
		ok   bool
	}{
		{"root's alone", 0o600, 0, user, false},
		{"root's alone, for root", 0o600, 0, nil, true},
		{"a group's", 0o660, 108, user, true},
		{"a group's, to read", 0o640, 108, user, false},
		{"root's group", 0o660, 0, user, false},
		{"everybody's", 0o666, 0, user, true},
	} {
		path := filepath.Join(t.TempDir(), "kvm")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, 0, c.gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		err := deviceState(path, c.user)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && !strings.Contains(err.Error(), "chmod 660 "+path) {
			t.Errorf("%s: %v does not say what to do", c.name, err)
		}
	}
	if err := deviceState(filepath.Join(t.TempDir(), "absent"), user); !os.IsNotExist(err) {
		t.Errorf("an absent device: %v", err)
	}
}
