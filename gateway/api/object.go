package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

const (
	// documentsKept bounds the specifications and results in memory: a result is
	// up to 4 MiB but mostly a few KiB, so the sum of their sizes is what counts.
	documentsKept      = 512
	documentsKeptBytes = 64 << 10 // larger documents are read again each time
)

// objectReader reads small immutable documents from the store. An object's
// digest stands in the record, so what is stored is believed only if it has it,
// and may be kept for as long as there is room.
type objectReader struct {
	store objstore.Store
	kept  *lru.Cache[string, []byte]
}

func newObjectReader(s objstore.Store) *objectReader {
	kept, err := lru.New[string, []byte](documentsKept)
	if err != nil {
		panic("api: " + err.Error()) // only a size that is not positive
	}
	return &objectReader{store: s, kept: kept}
}

// errCorrupt: the store gave other bytes than the record names.
var errCorrupt = errors.New("object differs from what its record says")

// read returns the object under key, at most limit bytes.
func (o *objectReader) read(ctx context.Context, key string, want schemas.Object, limit int64) ([]byte, error) {
	sum, err := schemas.ParseDigest(want.SHA256)
	if err != nil || want.Size < 0 || want.Size > limit {
		return nil, fmt.Errorf("read %s: %w: size %d, digest %.80q", key, errCorrupt, want.Size, want.SHA256)
	}
	// The key names tenant and job: equal bytes of another tenant are another entry.
	at := key + " " + sum
	if data, ok := o.kept.Get(at); ok {
		return data, nil
	}
	body, _, err := o.store.Get(ctx, key, objstore.Range{})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, want.Size+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	if got := sha256.Sum256(data); int64(len(data)) != want.Size || schemas.Digest(got[:]) != want.SHA256 {
		return nil, fmt.Errorf("read %s: %w", key, errCorrupt)
	}
	o.keep(at, data)
	return data, nil
}

func (o *objectReader) keep(at string, data []byte) {
	if len(data) <= documentsKeptBytes {
		o.kept.Add(at, bytes.Clone(data))
	}
}
