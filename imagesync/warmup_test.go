package imagesync_test

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/imagesync/imagetest"
)

// catalogDir is a folder with a tar, as of a catalog with warm-ups.
func catalogDir(t *testing.T) (dir string, content []byte) {
	t.Helper()
	dir, content = t.TempDir(), imagetest.Tar(t, entry{Name: "opt/tool", Body: "tool"})
	if err := os.WriteFile(filepath.Join(dir, "deps.tar"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, content
}

func parseCatalog(t *testing.T, text, dir string) *imagesync.Catalog {
	t.Helper()
	c, err := imagesync.ParseCatalog([]byte(text), dir)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return c
}

func TestWarmup(t *testing.T) {
	t.Parallel()
	dir, content := catalogDir(t)
	c := parseCatalog(t, `
images:
  python:
    reference: python:3
    warmup:
      - argv: [python3, -c, import json]
        env: {PYTHONHASHSEED: 0, A: x=y}
        timeout: 90s
        files: deps.tar
      - argv: [sh]
        files: `+dir+`/deps.tar
    pool: {min: 1, max: 4}
  off: {reference: off, pool: {max: 0}}
  plain: {reference: plain, warmup: [], pool: {}}
`, dir)
	files := &imagesync.WarmupFiles{Path: filepath.Join(dir, "deps.tar"), SHA256: sha256Hex(content), Size: int64(len(content))}
	want := []imagesync.Warmup{
		{Argv: []string{"python3", "-c", "import json"}, Env: []string{"A=x=y", "PYTHONHASHSEED=0"}, Timeout: 90 * time.Second, Files: files},
		{Argv: []string{"sh"}, Timeout: time.Minute, Files: files},
	}
	python, _ := c.Lookup("python")
	if !reflect.DeepEqual(python.Warmup, want) || !reflect.DeepEqual(python.Pool, &imagesync.PoolSize{Min: 1, Max: 4}) {
		t.Errorf("python has %+v, %+v", python.Warmup, python.Pool)
	}
	if off, _ := c.Lookup("off"); off.Pool == nil || *off.Pool != (imagesync.PoolSize{}) {
		t.Errorf("off has the pool %+v", off.Pool)
	}
	if plain, _ := c.Lookup("plain"); plain.Warmup != nil || plain.Pool != nil {
		t.Errorf("plain has %+v, %+v", plain.Warmup, plain.Pool)
	}
	file, err := python.Warmup[0].Files.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if have, err := io.ReadAll(file); err != nil || string(have) != string(content) {
		t.Errorf("the files have %d bytes, %v", len(have), err)
	}
}

// TestChangedWarmupFiles: what is used is what was there when the catalog was read.
func TestChangedWarmupFiles(t *testing.T) {
	t.Parallel()
	dir, content := catalogDir(t)
	c := parseCatalog(t, "images: {a: {reference: a, warmup: [{argv: [sh], files: deps.tar}]}}", dir)
	a, _ := c.Lookup("a")
	files := a.Warmup[0].Files
	other := append([]byte(nil), content...)
	other[len(other)-1] ^= 1
	read := func() error {
		file, err := files.Open()
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(io.Discard, file)
		return err
	}
	for what, change := range map[string]func() error{
		"another size":    func() error { return os.WriteFile(files.Path, content[:512], 0o644) },
		"another content": func() error { return os.WriteFile(files.Path, other, 0o644) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if err := read(); err == nil || !strings.Contains(err.Error(), files.Path) || !strings.Contains(err.Error(), "restart") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.WriteFile(files.Path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := read(); err != nil {
		t.Errorf("the content of before: %v", err)
	}
	if err := os.Remove(files.Path); err != nil {
		t.Fatal(err)
	}
	if err := read(); err == nil || !strings.Contains(err.Error(), files.Path) {
		t.Errorf("removed: %v", err)
	}
}

func TestBadWarmups(t *testing.T) {
	t.Parallel()
	dir, content := catalogDir(t)
	for name, raw := range map[string]string{"empty": "", "text": "text", "zeros.tar": strings.Repeat("\x00", 1024), "deps.tgz": "\x1f\x8b" + string(content)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(raw), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	big, err := os.Create(filepath.Join(dir, "big"))
	if err != nil {
		t.Fatal(err)
	}
	defer big.Close()
	if err := big.Truncate(1<<30 + 1); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"warmup: [{arg: [sh]}]":                                        "arg not found",
		"warmup: {argv: [sh]}":                                         "cannot unmarshal",
		"warmup: [{}]":                                                 "argv is empty",
		"warmup: [{argv: []}]":                                         "argv is empty",
		"warmup: [{argv: ['', a]}]":                                    "argv is empty",
		"warmup: [{argv: [sh]}, {argv: sh}]":                           "cannot unmarshal",
		"warmup: [{argv: [sh]}, {argv: []}]":                           "command 2",
		"warmup: [{argv: [\"a\\0b\"]}]":                                "NUL",
		"warmup: [{argv: [!!binary /w==]}]":                            "not UTF-8",
		"warmup: [{argv: [sh], env: {A=B: c}}]":                        "A=B",
		"warmup: [{argv: [sh], env: {'': c}}]":                         "no name",
		"warmup: [{argv: [sh], env: {A: \"\\0\"}}]":                    "NUL",
		"warmup: [{argv: [sh], env: {A: b, A: c}}]":                    "already defined",
		"warmup: [{argv: [sh], timeout: 0s}]":                          "timeout 0s",
		"warmup: [{argv: [sh], timeout: 30}]":                          "cannot unmarshal",
		"warmup: [{argv: [sh], timeout: -1s}]":                         "timeout -1s",
		"warmup: [{argv: [sh], timeout: 10m1s}]":                       "10m",
		"warmup: [{argv: [sh], files: absent.tar}]":                    "absent.tar",
		"warmup: [{argv: [sh], files: ''}]":                            "folder",
		"warmup: [{argv: [sh], files: pipe}]":                          "special file",
		"warmup: [{argv: [sh], files: empty}]":                         "0 bytes",
		"warmup: [{argv: [sh], files: text}]":                          "plain tar",
		"warmup: [{argv: [sh], files: zeros.tar}]":                     "plain tar",
		"warmup: [{argv: [sh], files: deps.tgz}]":                      "plain tar",
		"warmup: [{argv: [sh], files: big}]":                           "1073741825 bytes",
		"warmup: [" + strings.Repeat("{argv: [a]},", 17) + "]":         "at most 16",
		"warmup: [{argv: [" + strings.Repeat("a,", 1025) + "]}]":       "at most 1024",
		"warmup: [{argv: [sh, " + strings.Repeat("a", 128<<10) + "]}]": "at most 131072",
		"pool: 3":                  "cannot unmarshal",
		"pool: {min: 1}":           "no max",
		"pool: {min: 2, max: 1}":   "min ≤ max",
		"pool: {min: -1, max: 1}":  "0 ≤ min",
		"pool: {max: 65}":          "64",
		"pool: {max: 1.5}":         "whole number",
		"pool: {max: many}":        "whole number",
		"pool: {max: 1, least: 0}": "least",
	} {
		text = "images:\n  a:\n    reference: a\n    " + text
		if _, err := imagesync.ParseCatalog([]byte(text), dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100q: %v, want it to name %q", text, err, want)
		}
	}
}

// TestCatalogAgrees: a job has the reference alone, whichever name it was given by.
func TestCatalogAgrees(t *testing.T) {
	t.Parallel()
	for second, want := range map[string]bool{
		"reference: docker.io/library/gcc:14, warmup: [{argv: [gcc]}], pool: {max: 1}":     true,
		"reference: gcc:14, warmup: [{argv: [gcc], timeout: 60s}], pool: {min: 0, max: 1}": true,
		"reference: gcc:13": true,
		"reference: gcc:14": false,
		"reference: gcc:14, warmup: [{argv: [cc]}], pool: {max: 1}":                                 false,
		"reference: gcc:14, warmup: [{argv: [gcc], env: {A: b}}], pool: {max: 1}":                   false,
		"reference: gcc:14, warmup: [{argv: [gcc]}], pool: {max: 2}":                                false,
		"reference: docker.io/library/gcc:14, warmup: [{argv: [gcc], timeout: 1s}], pool: {max: 1}": false,
	} {
		text := "images:\n  gcc: {reference: gcc:14, warmup: [{argv: [gcc]}], pool: {max: 1}}\n  zcc: {" + second + "}\n"
		_, err := imagesync.ParseCatalog([]byte(text), "/")
		if want != (err == nil) || err != nil && !strings.Contains(err.Error(), `"gcc" and "zcc"`) {
			t.Errorf("%s: %v", second, err)
		}
	}
}
