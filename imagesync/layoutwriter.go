package imagesync

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

const (
	refNameAnnotation = "org.opencontainers.image.ref.name"
	layoutMarker      = `{"imageLayoutVersion":"1.0.0"}`
)

// layoutWriter writes an OCI layout folder. It holds the folder's lock, so that
// two processes that add platforms to one image do not lose each other's.
type layoutWriter struct {
	dir  string
	lock *os.File
}

func openLayoutWriter(dir string) (*layoutWriter, error) {
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return nil, err
	}
	lock, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := flock(lock, unix.LOCK_EX); err != nil {
		lock.Close()
		return nil, err
	}
	l := &layoutWriter{dir: dir, lock: lock}
	marker := filepath.Join(dir, "oci-layout")
	if _, err := os.Stat(marker); errors.Is(err, os.ErrNotExist) {
		if err := writeFileSynced(marker, []byte(layoutMarker)); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *layoutWriter) close() { l.lock.Close() }

func (l *layoutWriter) blobPath(digest v1.Hash) string {
	return filepath.Join(l.dir, "blobs", digest.Algorithm, digest.Hex)
}

// readIndex returns index.json, empty when there is none yet.
func (l *layoutWriter) readIndex() (*v1.IndexManifest, error) {
	empty := &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	raw, err := os.ReadFile(filepath.Join(l.dir, "index.json"))
	if errors.Is(err, os.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return nil, err
	}
	return v1.ParseIndexManifest(bytes.NewReader(raw))
}

// addJSON stores a document and returns its descriptor.
func (l *layoutWriter) addJSON(mediaType types.MediaType, document any) (v1.Descriptor, error) {
	raw, err := json.Marshal(document)
	if err != nil {
		return v1.Descriptor{}, err
	}
	digest, size, err := l.addBlob(bytes.NewReader(raw))
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, err
}

// addBlob stores what r gives under its own digest.
func (l *layoutWriter) addBlob(r io.Reader) (v1.Hash, int64, error) {
	return l.addBlobFrom(func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
}

func (l *layoutWriter) addBlobFrom(write func(io.Writer) error) (v1.Hash, int64, error) {
	temp, err := os.CreateTemp(l.dir, ".blob-*")
	if err != nil {
		return v1.Hash{}, 0, err
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	sum := sha256.New()
	if err := write(io.MultiWriter(temp, sum)); err != nil {
		return v1.Hash{}, 0, err
	}
	size, err := temp.Seek(0, io.SeekCurrent)
	if err != nil {
		return v1.Hash{}, 0, err
	}
	digest := hashOf(sum)
	if err := errors.Join(temp.Chmod(0o644), temp.Sync()); err != nil {
		return v1.Hash{}, 0, err
	}
	return digest, size, os.Rename(temp.Name(), l.blobPath(digest))
}

// addLayer stores a tar file as a layer and returns its descriptor and the
// digest of the uncompressed tar.
func (l *layoutWriter) addLayer(ctx context.Context, path, compression string) (v1.Descriptor, v1.Hash, error) {
	var none v1.Descriptor
	file, err := os.Open(path)
	if err != nil {
		return none, v1.Hash{}, err
	}
	defer file.Close()
	mediaType, compress, err := compressor(compression)
	if err != nil {
		return none, v1.Hash{}, err
	}
	plain := sha256.New()
	digest, size, err := l.addBlobFrom(func(w io.Writer) error {
		out, err := compress(w)
		if err != nil {
			return err
		}
		if _, err := io.Copy(out, io.TeeReader(ctxReader{ctx, bufio.NewReaderSize(file, 1<<20)}, plain)); err != nil {
			return errors.Join(err, out.Close())
		}
		return out.Close()
	})
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, hashOf(plain), err
}

func compressor(name string) (types.MediaType, func(io.Writer) (io.WriteCloser, error), error) {
	switch name {
	case "", "gzip":
		return types.OCILayer, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }, nil
	case "zstd":
		// One goroutine: the output of several depends on their number.
		return types.OCILayerZStd, func(w io.Writer) (io.WriteCloser, error) {
			return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		}, nil
	case "none":
		return types.OCIUncompressedLayer, func(w io.Writer) (io.WriteCloser, error) { return nopCloser{w}, nil }, nil
	}
	return "", nil, fmt.Errorf("compression %q: want gzip, zstd or none", name)
}

// sweep removes blobs that index.json no longer leads to.
func (l *layoutWriter) sweep(top *v1.IndexManifest) error {
	used := map[string]bool{}
	for _, d := range top.Manifests {
		l.mark(d, used)
	}
	// What a process left that died while it wrote: we hold the lock, so nobody writes now.
	for _, pattern := range []string{".blob-*", ".new-*"} {
		left, err := filepath.Glob(filepath.Join(l.dir, pattern))
		if err != nil {
			return err
		}
		for _, path := range left {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	blobs := filepath.Join(l.dir, "blobs", "sha256")
	entries, err := os.ReadDir(blobs)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !used[e.Name()] {
			if err := os.Remove(filepath.Join(blobs, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// mark records the blobs that d leads to. A blob that cannot be read leads nowhere.
func (l *layoutWriter) mark(d v1.Descriptor, used map[string]bool) {
	if used[d.Digest.Hex] {
		return
	}
	used[d.Digest.Hex] = true
	if !d.MediaType.IsIndex() && !d.MediaType.IsImage() {
		return
	}
	raw, err := os.ReadFile(l.blobPath(d.Digest))
	if err != nil {
		return
	}
	var links struct {
		Manifests, Layers []v1.Descriptor
		Config            v1.Descriptor
	}
	if json.Unmarshal(raw, &links) != nil {
		return
	}
	for _, next := range append(append(links.Manifests, links.Layers...), links.Config) {
		l.mark(next, used)
	}
}

func byRefName(index *v1.IndexManifest, name string) (v1.Descriptor, bool) {
	for _, d := range index.Manifests {
		if d.Annotations[refNameAnnotation] == name {
			return d, true
		}
	}
	return v1.Descriptor{}, false
}

func sortByPlatform(list []v1.Descriptor) {
	slices.SortStableFunc(list, func(a, b v1.Descriptor) int {
		return strings.Compare(platformName(a.Platform), platformName(b.Platform))
	})
}

func platformName(p *v1.Platform) string {
	if p == nil {
		return ""
	}
	return p.String()
}

func hashOf(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}
