package executor

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// inputTime is the mtime of every input, so that a job run twice sees the same.
var inputTime = time.Unix(0, 0)

// diskBlock is the granularity of a device's size, in bytes.
const diskBlock = 4096

// signer gets signed requests for a list of inputs, by digest, in order.
type signer func(ctx context.Context, digests []string) ([]schemas.SignedRequest, error)

// writeInputs writes the job's files to disk as a tar and returns its size in
// bytes, 0 without files. Blobs are fetched straight to their place in the tar
// and verified there.
func (t *transfer) writeInputs(ctx context.Context, disk *os.File, spec schemas.JobSpec, sign signer) (int64, error) {
	if len(spec.Files) == 0 {
		return 0, nil
	}
	names := slices.Sorted(maps.Keys(spec.Files))
	requests, err := signAll(ctx, sign, spec.Files, names)
	if err != nil {
		return 0, err
	}
	var offset int64
	for _, name := range names {
		size, err := t.writeInput(ctx, disk, offset, tarName(spec, name), spec.Files[name], requests)
		if err != nil {
			return 0, fmt.Errorf("input %q: %w", name, err)
		}
		offset += size
	}
	// Two zero blocks end a tar.
	size := offset + 1024
	return size, disk.Truncate((size + diskBlock - 1) / diskBlock * diskBlock)
}

// fromRoot reports whether the tar's names are relative to the job's root: an
// absolute path can't be said in the usual way, relative to the working directory.
func fromRoot(spec schemas.JobSpec) bool {
	for name := range spec.Files {
		if path.IsAbs(name) {
			return true
		}
	}
	return false
}

func tarName(spec schemas.JobSpec, name string) string {
	if !fromRoot(spec) {
		return name
	}
	if !path.IsAbs(name) {
		name = path.Join(spec.Cwd, name)
	}
	return strings.TrimPrefix(name, "/")
}

func signAll(ctx context.Context, sign signer, files map[string]schemas.File, names []string) (map[string]schemas.SignedRequest, error) {
	var digests []string
	for _, name := range names {
		if d := files[name].SHA256; d != "" && !slices.Contains(digests, d) {
			digests = append(digests, d)
		}
	}
	signed := make(map[string]schemas.SignedRequest, len(digests))
	for chunk := range slices.Chunk(digests, schemas.MaxSigned) {
		requests, err := sign(ctx, chunk)
		if err != nil {
			return nil, err
		}
		for i, digest := range chunk {
			signed[digest] = requests[i]
		}
	}
	return signed, nil
}

func (t *transfer) writeInput(ctx context.Context, disk *os.File, offset int64, name string, f schemas.File, requests map[string]schemas.SignedRequest) (int64, error) {
	content, size, err := inline(f)
	if err != nil {
		return 0, err
	}
	header, err := tarHeader(name, f.Mode, size)
	if err != nil {
		return 0, err
	}
	if _, err := disk.WriteAt(header, offset); err != nil {
		return 0, err
	}
	at := io.NewOffsetWriter(disk, offset+int64(len(header)))
	if f.SHA256 == "" {
		_, err = at.Write(content)
	} else {
		err = t.get(ctx, requests[f.SHA256], f.Size, f.SHA256, at)
	}
	return int64(len(header)) + (size+511)/512*512, err
}

// inline returns the content that the specification holds itself, and the input's size.
func inline(f schemas.File) ([]byte, int64, error) {
	switch {
	case f.Text != nil:
		return []byte(*f.Text), int64(len(*f.Text)), nil
	case f.Base64 != nil:
		content, err := base64.StdEncoding.DecodeString(*f.Base64)
		return content, int64(len(content)), err
	default:
		return nil, f.Size, nil
	}
}

// tarHeader returns the blocks before a file's content, as archive/tar writes them.
func tarHeader(name, mode string, size int64) ([]byte, error) {
	if mode == "" {
		mode = schemas.DefaultMode
	}
	perm, err := strconv.ParseUint(mode, 8, 32)
	if err != nil {
		return nil, fmt.Errorf("mode %q: %w", mode, err)
	}
	var blocks bytes.Buffer
	w := tar.NewWriter(&blocks)
	err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(perm), Size: size, ModTime: inputTime})
	return blocks.Bytes(), err
}
