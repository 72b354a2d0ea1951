package roles

import (
	"context"
	"errors"
	"strings"

	"github.com/program-explorer/pe/gateway/api"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
)

// resolve asks imagesync in the API's words.
func resolve(r *imagesync.Resolver) api.Resolve {
	return func(ctx context.Context, reference string) (api.ResolvedImage, error) {
		found, err := r.Resolve(ctx, reference)
		if err != nil {
			return api.ResolvedImage{}, imageError(err)
		}
		image := api.ResolvedImage{Reference: found.Reference, Digest: found.Digest}
		for _, platform := range found.Platforms {
			if arch, ok := strings.CutPrefix(platform, "linux/"); ok {
				arch, _, _ = strings.Cut(arch, "/")
				image.Archs = append(image.Archs, arch)
			}
		}
		return image, nil
	}
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

// catalogList is the catalog as the API lists it.
func catalogList(c *imagesync.Catalog) func(context.Context) (schemas.ImageList, error) {
	list := schemas.ImageList{}
	if c != nil {
		list.Only = c.Only
	}
	for _, name := range c.Names() {
		entry, _ := c.Lookup(name)
		list.Images = append(list.Images, schemas.CatalogImage{Name: name, Reference: entry.Reference, Description: entry.Description})
	}
	return func(context.Context) (schemas.ImageList, error) { return list, nil }
}
