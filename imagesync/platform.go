package imagesync

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxPlatforms caps the entries of one index, of which attestations are some.
const maxPlatforms = 256

// imageManifest is one platform's image, its documents verified.
type imageManifest struct {
	digest   v1.Hash
	raw      []byte
	manifest *v1.Manifest
	config   *v1.ConfigFile
	platform v1.Platform
}

// document is what is common to manifests and indexes.
type document struct {
	Manifests []v1.Descriptor `json:"manifests"`
	Config    v1.Descriptor   `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
}

func parseDocument(raw []byte) (document, error) {
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return d, fmt.Errorf("%w: manifest: %w", ErrInvalid, err)
	}
	if len(d.Manifests) > 0 == (d.Config.Digest != v1.Hash{}) {
		// Read as both, two readers could take it for different images.
		return d, fmt.Errorf("%w: the manifest is neither an image nor an index", ErrInvalid)
	}
	if len(d.Manifests) > maxPlatforms {
		return d, tooBig("entries in an index", maxPlatforms)
	}
	return d, nil
}

// wrongPlatform tells what an image has instead.
type wrongPlatform struct {
	want string
	have []string
}

func (e *wrongPlatform) Error() string {
	return fmt.Sprintf("no %s, only %s", e.want, strings.Join(e.have, ", "))
}

// selectImage returns the image of a platform out of a manifest or index.
func selectImage(ctx context.Context, o origin, raw []byte, want v1.Platform) (*imageManifest, error) {
	doc, err := parseDocument(raw)
	if err != nil {
		return nil, err
	}
	if len(doc.Manifests) > 0 {
		d, err := selectDescriptor(ctx, o, doc.Manifests, want)
		if err != nil {
			return nil, err
		}
		if raw, err = fetchManifest(ctx, o, d.Digest); err != nil {
			return nil, err
		}
		if doc, err = parseDocument(raw); err != nil {
			return nil, err
		}
		if len(doc.Manifests) > 0 {
			return nil, fmt.Errorf("%w: an index in an index", ErrInvalid)
		}
	}
	image, err := parseImage(ctx, o, raw)
	if err != nil {
		return nil, err
	}
	if !matches(image.platform, want) {
		return nil, &wrongPlatform{want: want.String(), have: []string{image.platform.String()}}
	}
	return image, nil
}

func selectDescriptor(ctx context.Context, o origin, list []v1.Descriptor, want v1.Platform) (v1.Descriptor, error) {
	best, found := v1.Descriptor{}, false
	for _, d := range list {
		if !isImage(d) {
			continue
		}
		if d.Platform == nil {
			// Its configuration says what it is for.
			raw, err := fetchManifest(ctx, o, d.Digest)
			if err != nil {
				return best, err
			}
			image, err := parseImage(ctx, o, raw)
			if err != nil {
				return best, err
			}
			d.Platform = &image.platform
		}
		// Of several variants the plainest runs on every machine.
		if matches(*d.Platform, want) && (!found || len(d.Platform.Variant) < len(best.Platform.Variant)) {
			best, found = d, true
		}
	}
	if !found {
		return best, &wrongPlatform{want: want.String(), have: platformsOf(list)}
	}
	return best, nil
}

// isImage tells images from attestations and other artefacts in an index.
func isImage(d v1.Descriptor) bool {
	if d.Platform != nil && d.Platform.OS == "unknown" {
		return false
	}
	return d.MediaType == "" || d.MediaType.IsImage()
}

func matches(have, want v1.Platform) bool {
	return have.OS == want.OS && have.Architecture == want.Architecture &&
		(want.Variant == "" || want.Variant == have.Variant)
}

func platformsOf(list []v1.Descriptor) []string {
	var names []string
	for _, d := range list {
		if isImage(d) && d.Platform != nil {
			names = append(names, d.Platform.String())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func parseImage(ctx context.Context, o origin, raw []byte) (*imageManifest, error) {
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", ErrInvalid, err)
	}
	rawConfig, err := fetchConfig(ctx, o, m.Config)
	if err != nil {
		return nil, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(rawConfig))
	if err != nil {
		return nil, fmt.Errorf("%w: configuration: %w", ErrInvalid, err)
	}
	if config.OS == "" || config.Architecture == "" {
		return nil, fmt.Errorf("%w: the manifest describes no image that can run (configuration of type %q)", ErrInvalid, m.Config.MediaType)
	}
	return &imageManifest{
		digest: digestOf(raw), raw: raw, manifest: m, config: config,
		platform: v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant},
	}, nil
}

// listPlatforms returns the platforms of a manifest or index, such as linux/amd64.
func listPlatforms(ctx context.Context, o origin, raw []byte) ([]string, error) {
	doc, err := parseDocument(raw)
	if err != nil {
		return nil, err
	}
	if len(doc.Manifests) == 0 {
		image, err := parseImage(ctx, o, raw)
		if err != nil {
			return nil, err
		}
		return []string{image.platform.String()}, nil
	}
	for i, d := range doc.Manifests {
		if d.Platform != nil || !isImage(d) {
			continue
		}
		member, err := fetchManifest(ctx, o, d.Digest)
		if err != nil {
			return nil, err
		}
		image, err := parseImage(ctx, o, member)
		if err != nil {
			return nil, err
		}
		doc.Manifests[i].Platform = &image.platform
	}
	return platformsOf(doc.Manifests), nil
}
