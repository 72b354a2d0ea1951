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

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/schemas"
)

// inputTime is the mtime of every input, so that a job run twice sees the same.
var inputTime = time.Unix(0, 0)

// diskBlock is the granularity of a device's size, in bytes.
const diskBlock = 4096

const (
	// signedAtOnce is how many inputs are signed by one request: few enough to
	// be fetched before the first signature ends.
	signedAtOnce = 64
	// fetchedAtOnce is how many inputs are fetched at one time.
	fetchedAtOnce = 4
)

// signer gets signed requests for a list of inputs, by digest, in order.
type signer func(ctx context.Context, digests []string) ([]schemas.SignedRequest, error)

// input is a file of the job at its place in the tar.
type input struct {
	name    string
	file    schemas.File
	header  []byte
	content []byte // of an inline one
	offset  int64  // of the header, in the tar
	size    int64  // of the content
}

// writeInputs writes the job's files to disk as a tar and returns its size in
// bytes, 0 without files. Blobs are fetched straight to their place in the tar
// and verified there.
func (t *transfer) writeInputs(ctx context.Context, disk *os.File, spec schemas.JobSpec, sign signer) (int64, error) {
	if len(spec.Files) == 0 {
		return 0, nil
	}
	inputs, size, err := planInputs(spec)
	if err != nil {
		return 0, err
	}
	if err := disk.Truncate((size + diskBlock - 1) / diskBlock * diskBlock); err != nil {
		return 0, err
	}
	var blobs []input
	for _, in := range inputs {
		if _, err := disk.WriteAt(append(in.header, in.content...), in.offset); err != nil {
			return 0, fmt.Errorf("input %q: %w", in.name, err)
		}
		if in.file.SHA256 != "" {
			blobs = append(blobs, in)
		}
	}
	for chunk := range slices.Chunk(blobs, signedAtOnce) {
		if err := t.fetchInputs(ctx, disk, chunk, sign); err != nil {
			return 0, err
		}
	}
	return size, nil
}

// planInputs gives every input its place, and the size of the whole.
func planInputs(spec schemas.JobSpec) ([]input, int64, error) {
	inputs := make([]input, 0, len(spec.Files))
	root := fromRoot(spec)
	var offset int64
	for _, name := range slices.Sorted(maps.Keys(spec.Files)) {
		in, err := planInput(spec.Files[name], tarName(spec.Cwd, name, root))
		if err != nil {
			return nil, 0, fmt.Errorf("input %q: %w", name, err)
		}
		in.name, in.offset = name, offset
		offset += int64(len(in.header)) + (in.size+511)/512*512
		inputs = append(inputs, in)
	}
	return inputs, offset + 1024, nil // two zero blocks end a tar
}

func planInput(f schemas.File, name string) (in input, err error) {
	in.file = f
	if in.content, in.size, err = inline(f); err != nil {
		return in, err
	}
	in.header, err = tarHeader(name, f.Mode, in.size)
	return in, err
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

func tarName(cwd, name string, fromRoot bool) string {
	if !fromRoot {
		return name
	}
	if !path.IsAbs(name) {
		name = path.Join(cwd, name)
	}
	return strings.TrimPrefix(name, "/")
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

// fetchInputs fetches blobs to their places.
func (t *transfer) fetchInputs(ctx context.Context, disk *os.File, blobs []input, sign signer) error {
	digests := make([]string, len(blobs))
	for i, in := range blobs {
		digests[i] = in.file.SHA256
	}
	requests, err := sign(ctx, digests)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchedAtOnce)
	for i, in := range blobs {
		group.Go(func() error {
			if err := t.fetchInput(ctx, disk, in, requests[i], sign); err != nil {
				return fmt.Errorf("input %q: %w", in.name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (t *transfer) fetchInput(ctx context.Context, disk *os.File, in input, req schemas.SignedRequest, sign signer) error {
	at := io.NewOffsetWriter(disk, in.offset+int64(len(in.header)))
	again := func(ctx context.Context) (req schemas.SignedRequest, err error) {
		requests, err := sign(ctx, []string{in.file.SHA256})
		if err == nil {
			req = requests[0]
		}
		return req, err
	}
	return resigned(ctx, req, again, func(req schemas.SignedRequest) error {
		return t.get(ctx, req, in.size, in.file.SHA256, at)
	})
}
