package api

import (
	"bytes"
	"context"
	"fmt"
	"runtime/debug"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/internal/archive/atrest"
	"github.com/program-explorer/pe/schemas"
)

const (
	// maxIndexBytes bounds the index of a job's outputs: 100,000 files with long names fit.
	maxIndexBytes = 64 << 20
	// Only indexes of up to indexKeptBytes are kept: larger ones are rare, and a few would fill the memory.
	indexesKept    = 16
	indexKeptBytes = 4 << 20
	// indexReaders is how many are read and decoded at once.
	indexReaders = 2
	// indexTimeout bounds waiting for a turn and reading.
	indexTimeout = time.Minute

	tarBlock   = 512
	tarTrailer = 2 * tarBlock
)

// outputIndex finds entries by name.
type outputIndex struct {
	atrest.Index
	byName map[string]int
}

// indexReader reads indexes, few at a time, and each once for all who ask for it meanwhile.
type indexReader struct {
	objects *jobresult.Reader
	kept    *lru.Cache[string, *outputIndex]
	flight  singleflight.Group
	turns   chan struct{}
}

func newIndexReader(objects *jobresult.Reader) *indexReader {
	kept, err := lru.New[string, *outputIndex](indexesKept)
	if err != nil {
		panic("api: " + err.Error()) // only a size that is not positive
	}
	return &indexReader{objects: objects, kept: kept, turns: make(chan struct{}, indexReaders)}
}

// read returns the index under key.
func (i *indexReader) read(ctx context.Context, key string, object schemas.Object) (*outputIndex, error) {
	if kept, ok := i.kept.Get(key); ok {
		return kept, nil
	}
	flight := i.flight.DoChan(key+" "+object.SHA256, func() (_ any, err error) {
		defer func() { // in a goroutine of its own, where a panic would end the process
			if v := recover(); v != nil {
				err = fmt.Errorf("read index %s: panic: %v\n%s", key, v, debug.Stack())
			}
		}()
		// The first client to leave must not fail the others.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), indexTimeout)
		defer cancel()
		return i.fetch(ctx, key, object)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-flight:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*outputIndex), nil
	}
}

// fetch reads an index from the store when it is its turn.
func (i *indexReader) fetch(ctx context.Context, key string, object schemas.Object) (*outputIndex, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case i.turns <- struct{}{}:
		defer func() { <-i.turns }()
	}
	data, err := i.objects.Document(ctx, key, object, maxIndexBytes)
	if err != nil {
		return nil, err
	}
	decoded, err := atrest.DecodeIndex(bytes.NewReader(data), maxIndexBytes)
	if err != nil {
		return nil, &jobresult.LostError{Key: key, Why: err.Error()}
	}
	index := &outputIndex{Index: decoded, byName: make(map[string]int, len(decoded.Entries))}
	for n, e := range decoded.Entries {
		index.byName[e.Name()] = n
	}
	if object.Size <= indexKeptBytes {
		i.kept.Add(key, index)
	}
	return index, nil
}

// find returns the entry called name, byte for byte; for a hard link the file that it shares.
func (x *outputIndex) find(name string) (atrest.Entry, bool) {
	i, ok := x.byName[name]
	if !ok {
		return atrest.Entry{}, false
	}
	e := x.Entries[i]
	if e.Type != atrest.TypeHardlink {
		return e, true
	}
	i, ok = x.byName[e.Target()]
	return x.Entries[i], ok
}

// tarSize is the length of the whole as a plain tar, in bytes.
func (x *outputIndex) tarSize() int64 {
	size := int64(tarTrailer)
	for _, e := range x.Entries {
		size += e.Header + (e.Size+tarBlock-1)/tarBlock*tarBlock
	}
	return size
}
