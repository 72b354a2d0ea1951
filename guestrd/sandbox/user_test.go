package sandbox

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// etc writes an image's passwd and group.
func etc(t testing.TB, passwd, group string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"passwd": passwd, "group": group} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	passwd = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1001::/home/alice:/bin/sh\nbroken\n99:x:5:6::/n:/\nhigh:x:70000:1::/:/\nfar:x:7:70000::/:/\nnone:x:8:::/:/\n"
	group  = "root:x:0:\nalice:x:1001:\nstaff:x:50:bob,alice\naudio:x:29:alice\nbad:x:no:\n"
)

func TestLookupUser(t *testing.T) {
	t.Parallel()
	dir := etc(t, passwd, group)
	for spec, want := range map[string]credentials{
		"":            {home: "/root"},
		"0":           {home: "/root"},
		"alice":       {uid: 1000, gid: 1001, groups: []uint32{50, 29}, home: "/home/alice"},
		"1000":        {uid: 1000, gid: 1001, groups: []uint32{50, 29}, home: "/home/alice"},
		"alice:staff": {uid: 1000, gid: 50, home: "/home/alice"},
		"alice:7":     {uid: 1000, gid: 7, home: "/home/alice"},
		"4000":        {uid: 4000, home: "/"},
		"4000:4000":   {uid: 4000, gid: 4000, home: "/"},
		":50":         {gid: 50, home: "/root"},
		"65535":       {uid: 65535, home: "/"},
		"far:9":       {uid: 7, gid: 9, home: "/"},
		"99":          {uid: 5, gid: 6, home: "/n"}, // a name before a number
	} {
		got, err := lookupUser(dir, spec)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v; want %+v", spec, got, err, want)
		}
	}
	for _, spec := range []string{"nobody", "65536", "-1", "high", "far", "7", "none", "alice:none", "alice:bad", "a b"} {
		if got, err := lookupUser(dir, spec); err == nil {
			t.Errorf("%q: %+v", spec, got)
		}
	}
	if c, err := lookupUser(t.TempDir(), "12"); err != nil || c.uid != 12 {
		t.Errorf("image without files: %+v, %v", c, err)
	}
}

func TestPasswdIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "passwd"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := lookupUser(dir, "0"); err == nil {
		t.Error("a FIFO was read")
	}
}

func FuzzLookupUser(f *testing.F) {
	f.Add("alice:staff", passwd, group)
	f.Add("0", ":::::::\n", "::::\n,,,")
	f.Add("x", strings.Repeat("x", 70_000), "")
	f.Fuzz(func(t *testing.T, spec, passwd, group string) {
		c, err := lookupUser(etc(t, passwd, group), spec)
		if err == nil && (c.uid > maxID || c.gid > maxID || len(c.groups) > 64) {
			t.Errorf("%+v", c)
		}
	})
}
