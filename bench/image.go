package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// flattenTurns: each writes some hundred megabytes.
const flattenTurns = 5

// flatten turns an image in an OCI layout into a file that a machine mounts, in
// an empty cache, with all digests checked. The program's start is counted.
func flatten(c config, image, dir string) contestant {
	return inFolder("image.flatten", dir, func(ctx context.Context) error {
		args := append([]string{"image", "pull", "--arch=amd64"}, "--data-dir="+dir, "oci:"+image)
		return execute(ctx, c.ped(), args...)
	})
}

// tarMkfs does what people would do for the same: check, unpack, and pack.
func tarMkfs(image, dir string) contestant {
	return inFolder("image.tar_mkfs", dir, func(ctx context.Context) error {
		layers, err := layersOf(image)
		if err != nil {
			return err
		}
		root := filepath.Join(dir, "root")
		if err := os.Mkdir(root, 0o755); err != nil {
			return err
		}
		for _, layer := range layers {
			if err := execute(ctx, "sha256sum", layer); err != nil {
				return err
			}
			if err := execute(ctx, "tar", "-xzf", layer, "-C", root); err != nil {
				return err
			}
		}
		return execute(ctx, "mkfs.erofs", filepath.Join(dir, "image.erofs"), root)
	})
}

// inFolder measures something that fills an empty folder; emptying it is not measured.
func inFolder(row, dir string, do func(context.Context) error) contestant {
	return contestant{
		rows: []string{row}, turns: flattenTurns,
		setup: func(context.Context) (func() error, error) { return nil, nil },
		once: func(ctx context.Context) (sample, error) {
			if err := os.Mkdir(dir, 0o700); err != nil {
				return sample{}, err
			}
			began := time.Now()
			err := do(ctx)
			s := took(row, milliseconds(time.Since(began)))
			if err == nil {
				err = os.RemoveAll(dir)
			}
			return s, err
		},
	}
}

// layersOf are the files of an image's layers, the lowest first.
func layersOf(dir string) ([]string, error) {
	image, err := amd64Image(dir)
	if err != nil {
		return nil, fmt.Errorf("read image %s: %w (make setup LEVEL=bench)", dir, err)
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	var files []string
	for _, l := range layers {
		var digest v1.Hash
		if digest, err = l.Digest(); err != nil {
			return nil, err
		}
		files = append(files, filepath.Join(dir, "blobs", digest.Algorithm, digest.Hex))
	}
	return files, nil
}
