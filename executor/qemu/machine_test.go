package qemu

import (
	"os"
	"path/filepath"
	"testing"
)

const ownerArg = "own-machine"

func ownMachine([]string) {}

func TestBoot(t *testing.T) {
	g := needGuest(t)
	c := g.config()
	c.User = SlotUser(0)
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Disks = []Disk{{Name: "inputs", Path: path}}
	m, talk := boot(t, c)
	t.Log(talk.ask("uptime"), talk.ask("size inputs"))
	t.Log(m.Usage())
}
