package jobresult

import (
	"bytes"
	"context"
	"fmt"
	"io"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// keptBytes is the largest document that is kept: a result is up to 4 MiB but
// mostly a few KiB, so the sum of their sizes is what counts.
const keptBytes = 64 << 10

// Reader reads objects of jobs. It is safe for concurrent use.
type Reader struct {
	store objstore.Store
	// kept are documents that were read before; nil for none. A document's digest
	// stands in its record, so it may be kept for as long as there is room.
	kept *lru.Cache[string, []byte]
}

// New makes a reader that keeps up to so many documents of at most 64 KiB in
// memory; 0 for none.
func New(store objstore.Store, documents int) *Reader {
	r := &Reader{store: store}
	if documents > 0 {
		r.kept, _ = lru.New[string, []byte](documents) // fails for sizes that are not positive alone
	}
	return r
}

// Result reads what the attempt produced whose result the record has: the record
// must have one that has not expired.
func (r *Reader) Result(ctx context.Context, rec schemas.Record) (schemas.Result, error) {
	key := rec.ResultKey(schemas.ObjectResult)
	data := []byte(rec.ResultInline)
	if data == nil {
		var err error
		if data, err = r.Document(ctx, key, *rec.Result, schemas.MaxResultBytes); err != nil {
			return schemas.Result{}, err
		}
	}
	result, err := schemas.DecodeResult(bytes.NewReader(data))
	if err != nil {
		return result, &LostError{key, err.Error()}
	}
	return result, nil
}

// Document reads an object of at most limit bytes as a whole.
func (r *Reader) Document(ctx context.Context, key string, object schemas.Object, limit int64) ([]byte, error) {
	if object.Size > limit {
		return nil, &LostError{key, fmt.Sprintf("it should have %d bytes; at most %d are read", object.Size, limit)}
	}
	// The key names tenant and job: equal bytes of another tenant are another entry.
	at := key + " " + object.SHA256
	if data := r.remembered(at); data != nil {
		return data, nil
	}
	content, err := r.Open(ctx, key, object)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	data, err := io.ReadAll(content)
	if err != nil {
		return nil, err
	}
	if r.kept != nil && len(data) <= keptBytes {
		r.kept.Add(at, bytes.Clone(data))
	}
	return data, nil
}

func (r *Reader) remembered(at string) []byte {
	if r.kept == nil {
		return nil
	}
	data, _ := r.kept.Get(at)
	return data
}
