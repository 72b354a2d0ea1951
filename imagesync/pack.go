package imagesync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Rootfs describes one platform's root filesystem to be packed as an OCI image.
type Rootfs struct {
	// Layout is the OCI layout folder; it is made when absent.
	Layout string
	// Name is the reference name inside the layout. Default: latest.
	Name string
	// Platform is `linux/<architecture>`, or the architecture alone.
	Platform string
	// Layers are uncompressed tar files, the lowest first.
	Layers []string
	// Config becomes the image's configuration.
	Config ImageConfig
	// Created is recorded in the image; the zero time is the Unix epoch, so that
	// the same layers give the same digest.
	Created time.Time
	// Compression of the layers: gzip (default), zstd or none.
	Compression string
}

// AddRootfs packs a root filesystem as an image of its platform in an OCI layout
// and returns the digest of that image's manifest. An image of the same name and
// platform is replaced, others stay: calling it once for each architecture
// makes a multi-platform image. The same input gives the same digest.
func AddRootfs(ctx context.Context, r Rootfs) (string, error) {
	platform, err := platformOf(r.Platform)
	if err != nil {
		return "", err
	}
	if r.Name == "" {
		r.Name = "latest"
	}
	if r.Created.IsZero() {
		r.Created = time.Unix(0, 0)
	}
	layout, err := openLayoutWriter(r.Layout)
	if err != nil {
		return "", fmt.Errorf("pack image %s: %w", r.Layout, err)
	}
	defer layout.close()
	manifest, err := packImage(ctx, layout, r, platform)
	if err != nil {
		return "", fmt.Errorf("pack image %s: %w", r.Layout, err)
	}
	if err := layout.setPlatform(r.Name, manifest); err != nil {
		return "", fmt.Errorf("pack image %s: %w", r.Layout, err)
	}
	return manifest.Digest.String(), nil
}

func packImage(ctx context.Context, layout *layoutWriter, r Rootfs, platform v1.Platform) (v1.Descriptor, error) {
	var none v1.Descriptor
	config := v1.ConfigFile{
		OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant,
		Created: v1.Time{Time: r.Created.UTC()}, Config: r.Config.oci(),
		RootFS: v1.RootFS{Type: "layers"},
	}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	for _, path := range r.Layers {
		layer, diffID, err := layout.addLayer(ctx, path, r.Compression)
		if err != nil {
			return none, fmt.Errorf("layer %s: %w", path, err)
		}
		manifest.Layers = append(manifest.Layers, layer)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
	}
	var err error
	if manifest.Config, err = layout.addJSON(types.OCIConfigJSON, config); err != nil {
		return none, err
	}
	descriptor, err := layout.addJSON(types.OCIManifestSchema1, manifest)
	descriptor.Platform = &platform
	return descriptor, err
}

// setPlatform puts an image into the named index in place of the image of the
// same platform. The index is nested in index.json: some tools refuse a layout
// that lists several unnamed manifests.
func (l *layoutWriter) setPlatform(name string, image v1.Descriptor) error {
	top, err := l.readIndex()
	if err != nil {
		return err
	}
	nested := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	if old, found := byRefName(top, name); found && old.MediaType.IsIndex() {
		raw, err := os.ReadFile(l.blobPath(old.Digest))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err == nil {
			if err := json.Unmarshal(raw, &nested); err != nil {
				return fmt.Errorf("parse index %s: %w", old.Digest, err)
			}
		}
	}
	nested.Manifests = replacePlatform(nested.Manifests, image)
	index, err := l.addJSON(types.OCIImageIndex, nested)
	if err != nil {
		return err
	}
	return l.setName(top, name, index)
}

// setName makes name refer to target in index.json and drops the blobs that
// nothing refers to any more.
func (l *layoutWriter) setName(top *v1.IndexManifest, name string, target v1.Descriptor) error {
	target.Annotations = map[string]string{refNameAnnotation: name}
	top.Manifests = append(without(top.Manifests, name), target)
	return l.writeIndex(top)
}

// dropName is setName to nothing.
func (l *layoutWriter) dropName(top *v1.IndexManifest, name string) error {
	top.Manifests = without(top.Manifests, name)
	return l.writeIndex(top)
}

func without(list []v1.Descriptor, name string) []v1.Descriptor {
	return slices.DeleteFunc(list, func(d v1.Descriptor) bool { return d.Annotations[refNameAnnotation] == name })
}

func (l *layoutWriter) writeIndex(top *v1.IndexManifest) error {
	raw, err := json.Marshal(top)
	if err != nil {
		return err
	}
	if err := writeFileSynced(filepath.Join(l.dir, "index.json"), raw); err != nil {
		return err
	}
	return l.sweep(top)
}

func replacePlatform(list []v1.Descriptor, image v1.Descriptor) []v1.Descriptor {
	kept := make([]v1.Descriptor, 0, len(list)+1)
	placed := false
	for _, d := range list {
		if d.Platform == nil || !d.Platform.Equals(*image.Platform) {
			kept = append(kept, d)
			continue
		}
		if !placed {
			kept, placed = append(kept, image), true
		}
	}
	if !placed {
		kept = append(kept, image)
	}
	sortByPlatform(kept)
	return kept
}
