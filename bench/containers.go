package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// rootfs is an image's root filesystem as a plain folder.
type rootfs struct{ image, dir string }

// unpack extracts the image, once.
func (r rootfs) unpack(ctx context.Context) error {
	if _, err := os.Stat(r.dir); err == nil {
		return nil
	}
	image, err := amd64Image(r.image)
	if err != nil {
		return fmt.Errorf("read image %s: %w (make setup LEVEL=bench)", r.image, err)
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	tar := mutate.Extract(image)
	defer tar.Close()
	cmd := program(ctx, "tar", "-x", "-C", r.dir, "--exclude=./dev/*")
	cmd.Stdin = tar
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("unpack image %s: %w: %s", r.image, err, out)
	}
	return nil
}

func amd64Image(dir string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(manifest.Manifests) == 1 && manifest.Manifests[0].MediaType.IsIndex() {
		if index, err = index.ImageIndex(manifest.Manifests[0].Digest); err != nil {
			return nil, err
		}
		if manifest, err = index.IndexManifest(); err != nil {
			return nil, err
		}
	}
	amd64 := match.Platforms(v1.Platform{OS: "linux", Architecture: "amd64"})
	for _, d := range manifest.Manifests {
		if amd64(d) {
			return index.Image(d.Digest)
		}
	}
	return nil, errors.New("no image for linux/amd64")
}

// podmanRun is how people would run a program of the image, with what lets it
// run as root without CAP_SYS_RESOURCE, too.
func (r rootfs) podmanRun(argv []string, flags ...string) []string {
	run := append([]string{
		"podman", "run", "--rm", "--network=none", "--runtime=runc",
		"--ulimit=nofile=20000:20000", "--ulimit=nproc=1000:1000",
	}, flags...)
	return append(append(run, "--rootfs", r.dir), argv...)
}

func podman(row string, r rootfs, argv []string, says string) contestant {
	return command{argv: r.podmanRun(argv), says: says}.contestant(row, r.unpack)
}

// runc is the least that a container can cost.
func runc(r rootfs, bundle string) contestant {
	argv := []string{"runc", "run", "--bundle", bundle, "pe-bench"}
	return command{argv: argv, says: gccSays}.contestant("runc.gcc_version", func(ctx context.Context) error {
		if err := r.unpack(ctx); err != nil {
			return err
		}
		return writeBundle(ctx, bundle, r.dir)
	})
}

// writeBundle lets runc write its own default specification, and changes what
// must differ: the command, the root filesystem, no terminal, and no limits
// that need CAP_SYS_RESOURCE.
func writeBundle(ctx context.Context, bundle, root string) error {
	if err := os.MkdirAll(bundle, 0o755); err != nil {
		return err
	}
	if out, err := program(ctx, "runc", "spec", "--bundle", bundle).CombinedOutput(); err != nil {
		return fmt.Errorf("runc spec: %w: %s", err, out)
	}
	path := filepath.Join(bundle, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var spec map[string]any
	if err := json.Unmarshal(text, &spec); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	process, ok := spec["process"].(map[string]any)
	if !ok {
		return fmt.Errorf("read %s: no process", path)
	}
	process["args"], process["terminal"] = gccVersion, false
	delete(process, "rlimits")
	spec["root"] = map[string]any{"path": root, "readonly": true}
	if text, err = json.Marshal(spec); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
