package imagesync

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxArchiveEntries caps the files of a docker archive: layers and documents.
const maxArchiveEntries = 10_000

// archiveOrigin reads a docker archive (`docker save`). Such an archive has no
// manifest in OCI's sense: one is made, whose layers are the files as they lie
// in the archive, so the same archive always gives the same digest.
type archiveOrigin struct {
	file *os.File
	tag  string
	// entries are the regular files by name; links are symbolic ones, by which
	// old archives share layers.
	entries map[string]extent
	links   map[string]string
	// made is the manifest, once resolved.
	made  []byte
	blobs map[v1.Hash]extent
}

type extent struct{ offset, size int64 }

func openArchiveOrigin(file, tag string) (*archiveOrigin, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, notThere(err)
	}
	a := &archiveOrigin{file: f, tag: tag, entries: map[string]extent{}, links: map[string]string{}, blobs: map[v1.Hash]extent{}}
	if err := a.index(); err != nil {
		f.Close()
		return nil, err
	}
	return a, nil
}

func (a *archiveOrigin) Close() error { return a.file.Close() }

// index notes where each file is. The reader seeks over the data.
func (a *archiveOrigin) index() error {
	archive := tar.NewReader(a.file)
	for count := 0; ; count++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if count == maxArchiveEntries {
			return tooBig("files in the archive", maxArchiveEntries)
		}
		name := path.Clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			at, err := a.file.Seek(0, io.SeekCurrent)
			if err != nil {
				return err
			}
			a.entries[name] = extent{at, h.Size}
		case tar.TypeSymlink, tar.TypeLink:
			target := h.Linkname
			if h.Typeflag == tar.TypeSymlink {
				target = path.Join(path.Dir(name), target)
			}
			a.links[name] = path.Clean(target)
		}
	}
}

func (a *archiveOrigin) open(name string) (extent, error) {
	name = path.Clean(name)
	if target, found := a.links[name]; found {
		name = target
	}
	e, found := a.entries[name]
	if !found {
		return extent{}, fmt.Errorf("%w: no file %q in the archive", ErrInvalid, name)
	}
	return e, nil
}

func (a *archiveOrigin) section(e extent) *io.SectionReader {
	return io.NewSectionReader(a.file, e.offset, e.size)
}

// savedImage is an element of an archive's manifest.json.
type savedImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (a *archiveOrigin) resolve(ctx context.Context) ([]byte, error) {
	saved, err := a.choose()
	if err != nil {
		return nil, err
	}
	if len(saved.Layers) > maxLayers {
		return nil, tooBig("layers", maxLayers)
	}
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	if m.Config, err = a.describe(ctx, saved.Config, types.OCIConfigJSON); err != nil {
		return nil, err
	}
	for _, layer := range saved.Layers {
		// The type says nothing of compression: it is told by the first bytes.
		d, err := a.describe(ctx, layer, types.OCIUncompressedLayer)
		if err != nil {
			return nil, err
		}
		m.Layers = append(m.Layers, d)
	}
	a.made, err = json.Marshal(m)
	return a.made, err
}

func (a *archiveOrigin) choose() (savedImage, error) {
	e, found := a.entries["manifest.json"]
	if !found {
		return savedImage{}, fmt.Errorf("%w: no manifest.json: not a docker archive", ErrInvalid)
	}
	raw, err := readCapped(a.section(e), maxManifest, "manifest")
	if err != nil {
		return savedImage{}, err
	}
	var list []savedImage
	if err := json.Unmarshal(raw, &list); err != nil {
		return savedImage{}, fmt.Errorf("%w: manifest.json: %w", ErrInvalid, err)
	}
	var tags []string
	for _, s := range list {
		if slices.ContainsFunc(s.RepoTags, func(t string) bool { return t == a.tag || strings.HasSuffix(t, "/"+a.tag) }) {
			return s, nil
		}
		tags = append(tags, s.RepoTags...)
	}
	if a.tag == "" && len(list) == 1 {
		return list[0], nil
	}
	return savedImage{}, fmt.Errorf("%w: the archive has %d images, tagged %.500q; name one", ErrNotFound, len(list), tags)
}

func (a *archiveOrigin) describe(ctx context.Context, name string, mediaType types.MediaType) (v1.Descriptor, error) {
	e, err := a.open(name)
	if err != nil {
		return v1.Descriptor{}, err
	}
	sum := newSHA256()
	if _, err := io.Copy(sum, ctxReader{ctx, a.section(e)}); err != nil {
		return v1.Descriptor{}, err
	}
	digest := hashOf(sum)
	a.blobs[digest] = e
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: e.size}, nil
}

func (a *archiveOrigin) manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	if a.made == nil {
		if _, err := a.resolve(ctx); err != nil {
			return nil, err
		}
	}
	if digestOf(a.made) != digest {
		return nil, fmt.Errorf("%w: the archive's image has digest %s, not %s", ErrNotFound, digestOf(a.made), digest)
	}
	return a.made, nil
}

func (a *archiveOrigin) blob(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	e, found := a.blobs[d.Digest]
	if !found {
		return nil, fmt.Errorf("%w: no blob %s in the archive", ErrNotFound, d.Digest)
	}
	return io.NopCloser(a.section(e)), nil
}
