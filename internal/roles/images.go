package roles

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/gateway/api"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
)

// resolve asks imagesync in the API's words, and the catalog for what it says of the image.
func resolve(r *imagesync.Resolver, catalog *imagesync.Catalog) api.Resolve {
	return func(ctx context.Context, reference string) (api.ResolvedImage, error) {
		found, err := r.Resolve(ctx, reference)
		if err != nil {
			return api.ResolvedImage{}, imageError(err)
		}
		image := api.ResolvedImage{Reference: found.Reference, Digest: found.Digest}
		if entry, ok := catalog.Find(found.Reference); ok {
			image.Prepared, image.Cache = entry.WarmedUp(), cacheOf(entry)
		}
		for _, platform := range found.Platforms {
			if arch, ok := strings.CutPrefix(platform, "linux/"); ok {
				arch, _, _ = strings.Cut(arch, "/")
				image.Archs = append(image.Archs, arch)
			}
		}
		return image, nil
	}
}

// cacheOf is the default of a job's cache.
func cacheOf(entry imagesync.CatalogEntry) string {
	if entry.Cached {
		return schemas.CacheUse
	}
	return ""
}

// imageError tells the API whose fault an image's error is.
func imageError(err error) error {
	var image *imagesync.Error
	if !errors.As(err, &image) {
		return err
	}
	kind := api.ErrImageUnknown
	switch {
	case errors.Is(err, imagesync.ErrRefused):
		kind = api.ErrImageForbidden
	case errors.Is(err, imagesync.ErrUnreachable):
		kind = api.ErrRegistry
	}
	return &api.ImageError{Kind: kind, Message: err.Error()}
}

// archPatience is how long a list of images waits to learn their architectures.
const archPatience = 2 * time.Second

// catalogList is the catalog as the API lists it, with the architectures that
// each image has now, as far as its place says so in time.
func catalogList(c *imagesync.Catalog, resolve api.Resolve) func(context.Context) (schemas.ImageList, error) {
	return func(ctx context.Context) (schemas.ImageList, error) {
		ctx, stop := context.WithTimeout(ctx, archPatience)
		defer stop()
		names := c.Names()
		list := schemas.ImageList{Images: make([]schemas.CatalogImage, len(names)), Only: c != nil && c.Only}
		var group errgroup.Group
		group.SetLimit(8)
		for i, name := range names {
			entry, _ := c.Lookup(name)
			list.Images[i] = schemas.CatalogImage{Name: name, Reference: entry.Reference, Description: entry.Description, Cache: cacheOf(entry)}
			group.Go(func() error {
				if found, err := resolve(ctx, name); err == nil {
					list.Images[i].Archs = found.Archs
				}
				return nil // a list without it is better than none
			})
		}
		return list, group.Wait()
	}
}
