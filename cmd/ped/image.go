package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/imagesync"
)

// imageDir is the image cache within a data directory. Commands may use it
// while an executor runs.
func imageDir(dataDir string) string { return filepath.Join(dataDir, "images") }

// imageTool is what the commands that work on the cache share.
type imageTool struct {
	*app
	data   dataFlags
	images imageFlags
	json   bool
}

func (a *app) image() *cobra.Command {
	t := &imageTool{app: a}
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Pull, import, list, remove and pack images",
		Long: `Work on the cache of images of this machine. A reference is a name of the catalog,
an imported name, a registry's (docker.io/library/gcc:14, name@sha256:…), an OCI
layout folder (oci:PATH[:NAME]) or a docker archive (docker-archive:PATH[:NAME]).`,
		Example: `  ped image pull docker.io/library/gcc:14
  docker save -o mine.tar mine && ped image import docker-archive:mine.tar mine
  ped image list`,
		Args: cobra.NoArgs,
	}
	for _, child := range []*cobra.Command{t.pull(), t.imports()} {
		cmd.AddCommand(a.configured(child, t.data.bind(a.getenv), t.images.bindSources(), t.images.bindCache()))
	}
	cmd.AddCommand(a.configured(t.list(), t.data.bind(a.getenv)),
		a.configured(t.remove(), t.data.bind(a.getenv), t.images.bindCatalog()), a.imagePack())
	return cmd
}

// cache opens the cache, with all that an operator may name.
func (t *imageTool) cache() (*imagesync.Cache, error) {
	sources, err := t.images.sources()
	if err != nil {
		return nil, err
	}
	sources.AllowPaths, sources.AllowLoopback = true, true
	return imagesync.Open(imagesync.CacheConfig{Sources: sources, Dir: imageDir(t.data.dir), MaxBytes: int64(t.images.cacheSize)})
}

func (t *imageTool) pull() *cobra.Command {
	arch := runtime.GOARCH
	cmd := &cobra.Command{
		Use:   "pull REFERENCE…",
		Short: "Have images ready before their first job",
		Example: `  ped image pull docker.io/library/gcc:14
  ped image pull --arch riscv64 --catalog catalog.yaml gcc`,
		Args: atLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cache, err := t.cache()
			if err != nil {
				return err
			}
			for _, reference := range args {
				if reference, err = absolute(reference); err != nil {
					return err
				}
				if err := t.pullOne(cmd.Context(), cache, reference, arch); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&arch, "arch", arch, "`ARCH`: amd64, arm64 or riscv64")
	return cmd
}

func (t *imageTool) pullOne(ctx context.Context, cache *imagesync.Cache, reference, arch string) error {
	sources, err := t.images.sources()
	if err != nil {
		return err
	}
	sources.AllowPaths, sources.AllowLoopback, sources.ImportsDir = true, true, imageDir(t.data.dir)
	resolved, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: sources}).Resolve(ctx, reference)
	if err != nil {
		return err
	}
	began := time.Now()
	image, err := cache.Get(ctx, reference, resolved.Digest, arch)
	if err != nil {
		return err
	}
	defer image.Release()
	fmt.Fprintf(t.stdout, "%s %s %s, %d MiB, %.1f s\n", reference, image.Platform, image.Digest, image.ErofsSize>>20, time.Since(began).Seconds())
	return nil
}

func (t *imageTool) imports() *cobra.Command {
	return &cobra.Command{
		Use:   "import SOURCE NAME",
		Short: "Copy an image, all its platforms, into the cache and give it a name",
		Example: `  ped image import oci:.cache/images/gcc gcc
  docker save hello | tee hello.tar >/dev/null && ped image import docker-archive:hello.tar hello`,
		Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			cache, err := t.cache()
			if err != nil {
				return err
			}
			source, err := absolute(args[0])
			if err != nil {
				return err
			}
			resolved, err := cache.Import(cmd.Context(), source, args[1])
			if err == nil {
				fmt.Fprintln(t.stdout, args[1], resolved.Digest)
			}
			return err
		},
	}
}

// absolute makes the path in oci:PATH or docker-archive:PATH absolute, which is
// what the cache wants: it does not know anybody's working directory.
func absolute(reference string) (string, error) {
	kind, path, ok := strings.Cut(reference, ":")
	if !ok || kind != "oci" && kind != "docker-archive" {
		return reference, nil
	}
	path, err := filepath.Abs(path)
	return kind + ":" + path, err
}

func (t *imageTool) list() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the images of the cache, the last used first",
		Example: `  ped image list
  ped image list --json | jq -r '.[].reference'`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			cache, err := t.cache()
			if err != nil {
				return err
			}
			images, err := cache.List()
			if err != nil {
				return err
			}
			return t.print(images)
		},
	}
	cmd.Flags().BoolVar(&t.json, "json", false, "print JSON")
	return cmd
}

func (t *imageTool) print(images []imagesync.Info) error {
	if t.json {
		if images == nil {
			images = []imagesync.Info{}
		}
		return json.NewEncoder(t.stdout).Encode(images)
	}
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REFERENCE\tPLATFORM\tSIZE\tUSED\tDIGEST")
	for _, i := range images {
		platform, size := i.Platform, fmt.Sprintf("%d MiB", i.Size>>20)
		if i.Imported {
			platform, size = "(import)", ""
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", i.Reference, platform, size, i.Used.Format(time.DateTime), i.Digest)
	}
	return w.Flush()
}

func (t *imageTool) remove() *cobra.Command {
	return &cobra.Command{
		Use:     "rm REFERENCE…",
		Aliases: []string{"remove"},
		Short:   "Remove images, by reference, imported name or digest",
		Example: `  ped image rm docker.io/library/gcc:14 mine`,
		Args:    atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cache, err := t.cache()
			if err != nil {
				return err
			}
			for _, reference := range args {
				if err := cache.Remove(reference); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
