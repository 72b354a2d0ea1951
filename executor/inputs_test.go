package executor

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/program-explorer/pe/internal/archive"
	"github.com/program-explorer/pe/schemas"
)

// entry is a file as a machine gets it.
type entry struct {
	content string
	mode    int64
}

func TestInputs(t *testing.T) {
	t.Parallel()
	blob := bytes.Repeat([]byte("blob"), 3<<20)
	s := newStore(t, sends(blob))
	text, coded, full := "text", base64.StdEncoding.EncodeToString([]byte{0xff, 0}), strings.Repeat("b", 512)
	long := strings.Repeat("deep/", 60) + "name"
	files := map[string]schemas.File{
		"a": {Text: &text}, "bin": {Base64: &coded, Mode: "0755"}, long: {Text: &text, Mode: "0711"}, "n\u00e4me": {Text: &text}, "block": {Text: &full},
		"blob": {SHA256: digestOf(blob), Size: int64(len(blob))}, "again": {SHA256: digestOf(blob), Size: int64(len(blob)), Mode: "0600"},
	}
	want := map[string]entry{
		"a": {text, 0o644}, "bin": {"\xff\x00", 0o755}, long: {text, 0o711}, "n\u00e4me": {text, 0o644}, "block": {full, 0o644},
		"blob": {string(blob), 0o644}, "again": {string(blob), 0o600},
	}
	t.Run("relative", func(t *testing.T) {
		t.Parallel()
		checkInputs(t, s, schemas.JobSpec{Cwd: "/work", Files: files}, want)
	})
	t.Run("from the root", func(t *testing.T) {
		t.Parallel()
		files, rooted := maps.Clone(files), map[string]entry{"etc/x": {text, 0o400}}
		files["/etc/x"] = schemas.File{Text: &text, Mode: "0400"}
		for name, e := range want {
			rooted["some/where/"+name] = e
		}
		checkInputs(t, s, schemas.JobSpec{Cwd: "/some/where", Files: files}, rooted)
	})
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		if n, err := quick(s.Client()).writeInputs(t.Context(), nil, schemas.JobSpec{}, nil); n != 0 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// signs gives the same request for all.
func (s *store) signs(_ context.Context, digests []string) ([]schemas.SignedRequest, error) {
	if len(digests) > signedAtOnce {
		return nil, fmt.Errorf("%d digests at once", len(digests))
	}
	requests := make([]schemas.SignedRequest, len(digests))
	for i := range requests {
		requests[i] = s.signed(http.MethodGet)
	}
	return requests, nil
}

// checkInputs reads what was written with archive/tar and with the guest's own unpacker.
func checkInputs(t *testing.T, s *store, spec schemas.JobSpec, want map[string]entry) {
	t.Helper()
	disk := tempFile(t)
	size, err := quick(s.Client()).writeInputs(t.Context(), disk, spec, s.signs)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := disk.Stat(); err != nil || info.Size() < size || info.Size()%diskBlock != 0 || size%512 != 0 {
		t.Errorf("tar of %d bytes on a disk of %d, %v", size, info.Size(), err)
	}
	got := map[string]entry{}
	for in := tar.NewReader(io.NewSectionReader(disk, 0, size)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil || h.ModTime.Unix() != 0 {
			t.Errorf("%s: time %s, %v", h.Name, h.ModTime, err)
		}
		got[h.Name] = entry{string(content), h.Mode}
	}
	if !maps.Equal(got, want) {
		t.Errorf("tar has %d entries, want %d", len(got), len(want))
	}
	folder := t.TempDir()
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := archive.Unpack(io.NewSectionReader(disk, 0, size), root, archive.UnpackOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, e := range want {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || string(content) != e.content {
			t.Errorf("unpacked %q has %d bytes, %v", name, len(content), err)
		}
	}
}

func TestManyInputsAreSignedInPieces(t *testing.T) {
	t.Parallel()
	content := []byte("x")
	s := newStore(t, sends(content))
	spec := schemas.JobSpec{Cwd: "/work", Files: map[string]schemas.File{}}
	want := map[string]entry{}
	for i := range 2*signedAtOnce + 1 {
		name := fmt.Sprintf("f%03d", i)
		spec.Files[name] = schemas.File{SHA256: digestOf(content), Size: 1}
		want[name] = entry{"x", 0o644}
	}
	checkInputs(t, s, spec, want)
}

func TestExpiredSignatureIsRenewedOnce(t *testing.T) {
	t.Parallel()
	content := []byte("content")
	file := schemas.File{SHA256: digestOf(content), Size: int64(len(content))}
	spec := schemas.JobSpec{Cwd: "/work", Files: map[string]schemas.File{"f": file}}
	s := newStore(t, status(http.StatusForbidden, ""), sends(content))
	checkInputs(t, s, spec, map[string]entry{"f": {"content", 0o644}})
	never := newStore(t, status(http.StatusForbidden, ""))
	_, err := quick(never.Client()).writeInputs(t.Context(), tempFile(t), spec, never.signs)
	if !errors.Is(err, errForbidden) || never.requests() != 2 || !strings.Contains(err.Error(), `input "f"`) {
		t.Errorf("error %v after %d requests", err, never.requests())
	}
	checkSecret(t, err)
	if f := failureOf(stageFailure(err)); f.Code != schemas.FailStage {
		t.Errorf("failure %v", f)
	}
}

func TestInputsThatCannotBe(t *testing.T) {
	t.Parallel()
	bad := "%%%"
	for name, f := range map[string]schemas.File{"base64": {Base64: &bad}, "mode": {Text: &bad, Mode: "rwx"}} {
		spec := schemas.JobSpec{Cwd: "/work", Files: map[string]schemas.File{name: f}}
		if _, err := quick(http.DefaultClient).writeInputs(t.Context(), tempFile(t), spec, nil); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	s := newStore(t, status(http.StatusNotFound, ""))
	spec := schemas.JobSpec{Cwd: "/work", Files: map[string]schemas.File{"f": {SHA256: digestOf(nil), Size: 5}}}
	_, err := quick(s.Client()).writeInputs(t.Context(), tempFile(t), spec, s.signs)
	if f := failureOf(stageFailure(err)); f.Code != schemas.FailInput || f.Retryable {
		t.Errorf("failure %v of %v", f, err)
	}
}
