package e2e

import (
	"bytes"
	"crypto/rand"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

const helloC = `#include <stdio.h>
int main(void) { puts("hello from a machine of its own"); return 0; }
`

// TestMainJob is the sentence that the project was begun with.
func TestMainJob(t *testing.T) {
	t.Parallel()
	mainJob(t, shared(t).server)
}

func mainJob(t *testing.T, s server) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "main.c", []byte(helloC))
	s.peIn(t, dir, nil, "run", "--image", "gcc", "-f", "main.c", "--output", "out", "--",
		"sh", "-c", "gcc -O2 main.c -o /output/a.out && /output/a.out").
		want(t, 0).says(t, "hello from a machine of its own\n")
	if head := read(t, dir, "out/a.out"); !bytes.HasPrefix(head, []byte("\x7fELF")) {
		t.Errorf("a.out begins with %q, want an ELF file", head[:min(4, len(head))])
	}
	if info, err := os.Stat(filepath.Join(dir, "out/a.out")); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("a.out has lost its execute permission: %v %v", info, err)
	}
}

func TestSeveralSourcesAndDataFile(t *testing.T) {
	t.Parallel()
	s := shared(t)
	here, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	s.peIn(t, here, nil, "run", "--image", "gcc", "-f", "words=words", "--cwd", "/work/sub", "--",
		"sh", "-c", "cd words && gcc -Wall -Werror -O1 *.c -o /tmp/words && /tmp/words data.txt").
		want(t, 0).says(t, "4 lines, 6 words, 31 bytes\n")
}

func TestPythonDrawsPNG(t *testing.T) {
	t.Parallel()
	s := shared(t)
	dir := t.TempDir()
	plot, err := filepath.Abs("testdata/plot")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--image", "python", "--output", "out"}
	for _, name := range []string{"plot.py", "a.json", "b.json", "c.json"} {
		args = append(args, "-f", filepath.Join(plot, name))
	}
	s.peIn(t, dir, nil, append(args, "--", "python3", "plot.py", "a.json", "b.json", "c.json")...).want(t, 0).says(t, "40 96\n")
	picture, err := png.Decode(bytes.NewReader(read(t, dir, "out/plot.png")))
	if err != nil {
		t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size.X != 40 || size.Y != 96 {
		t.Errorf("the picture is %v", size)
	}
	red := color.RGBAModel.Convert(picture.At(3*8+4, 16))
	if red != (color.RGBA{200, 40, 40, 255}) {
		t.Errorf("the first series' last bar is %v", red)
	}
}

// TestLargeBinary sends 64 MiB there and back, bit for bit.
func TestLargeBinary(t *testing.T) {
	t.Parallel()
	largeBinary(t, shared(t).server, 64<<20)
}

func largeBinary(t *testing.T, s server, size int) {
	t.Helper()
	dir := t.TempDir()
	want := make([]byte, size)
	rand.Read(want)
	write(t, dir, "blob", want)
	s.peIn(t, dir, nil, "run", "--image", "busybox", "--wall", "5m", "-f", "blob", "--output", "out", "--", "cp", "blob", "/output/copy").want(t, 0)
	if got := read(t, dir, "out/copy"); !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back as %d, and not the same", len(want), len(got))
	}
}
