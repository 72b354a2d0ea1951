package vm_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// compiled is a C program of testdata, as a static binary: the compiler is the gcc
// image's, so that this host needs none.
func compiled(t *testing.T, name string) []byte {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	shape := shapeOf(t, image(t, "gcc"))
	shape.Name, shape.MemoryBytes = "compiler", 384<<20
	m, err := newRunner(t, nil).Start(t.Context(), shape)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	job := shellJob("gcc -O1 -static -x c - -o /output/program")
	job.Limits.Memory, job.Limits.Scratch, job.Limits.Output = 256<<20, 64<<20, 16<<20
	job.Stdin.Via = guestproto.ViaChannel
	said := ""
	ended, err := m.Run(t.Context(), executor.Work{
		Job: job, Stdin: bytes.NewReader(source), Stage: func(string) {},
		Stdout: func([]byte) {}, Stderr: func(p []byte) { said += string(p) },
	})
	if err != nil {
		t.Fatal(err)
	}
	program := untar(t, ended.Outputs)["program"]
	if ended.Exit.Code != 0 || program == "" {
		t.Fatalf("compile %s: %+v: %s", name, ended.Exit, said)
	}
	return []byte(program)
}

// warmupFiles is a tar of programs, path → content, for an image's warm-up.
func warmupFiles(t *testing.T, programs map[string][]byte) *imagesync.WarmupFiles {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for path, content := range programs {
		h := &tar.Header{Name: strings.TrimPrefix(path, "/"), Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(content))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "files.tar")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	return &imagesync.WarmupFiles{Path: path, SHA256: hex.EncodeToString(sum[:]), Size: int64(b.Len())}
}
