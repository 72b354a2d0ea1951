package snapshot_test

import (
	"archive/tar"
	"bytes"
	"io"
	"testing"

	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// TestRestoredDisks gives a restored machine disks that are not those it was baked with, of
// other sizes, and takes a job's files in and out by them.
func TestRestoredDisks(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	snap, _, err := g.store.Get(t.Context(), g.key, g.rootfs, g.bake(t))
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	m, s, files := g.cloneWithDisks(t, snap, 25)
	if err := personalise(t.Context(), s, "disks"); err != nil {
		t.Fatal(err)
	}
	// After the guest's first word: before it, a resize would abort QEMU.
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	var input bytes.Buffer
	w := tar.NewWriter(&input)
	if err := w.WriteHeader(&tar.Header{Name: "big", Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := files["input"].WriteAt(input.Bytes(), 0); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int64{"input": int64(input.Len()), "output": 4 << 20} {
		if err := m.ResizeDisk(t.Context(), name, size); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	out, err := s.Run(t.Context(), session.Request{
		Job: &guestproto.Job{
			Argv: []string{"sh", "-c", "wc -c < /work/big; mkdir -p /output; cp /work/big /output/copy"},
			Env:  []string{"PATH=/bin:/usr/bin"}, Cwd: "/work",
			Limits: guestproto.Limits{WallMS: 60_000, Memory: 64 << 20, PIDs: 64, Scratch: 32 << 20, Output: 2 << 20, Log: 1 << 20},
			Input:  guestproto.Input{Via: guestproto.ViaDisk, Serial: "input", Size: int64(input.Len())},
			Stdin:  guestproto.Stdin{Via: guestproto.ViaNone},
			Output: guestproto.Output{Via: guestproto.ViaDisk, Serial: "output"},
		},
		Stdout: func(p []byte) { said.Write(p) },
		Stderr: func(p []byte) { said.Write(p) },
	})
	if err != nil || said.String() != "1048576\n" {
		t.Fatalf("job says %q, %v; console: %s", said.String(), err, m.Console())
	}
	for in := tar.NewReader(io.NewSectionReader(files["output"], 0, out.Collected.Bytes)); ; {
		h, err := in.Next()
		if err != nil {
			t.Fatalf("no copy among the outputs: %v", err)
		}
		if h.Name != "copy" && h.Name != "./copy" {
			continue
		}
		got, err := io.ReadAll(in)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("the output has %d bytes and differs, %v", len(got), err)
		}
		return
	}
}
