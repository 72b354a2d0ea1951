package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/program-explorer/pe/internal/archive/atrest"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

const (
	// maxIndexBytes bounds the index of a job's outputs: 100,000 files with long names fit.
	maxIndexBytes = 64 << 20
	// Indexes of up to indexKeptEntries entries are kept: about 4 MiB each at most.
	indexesKept      = 16
	indexKeptEntries = 10_000

	tarBlock   = 512
	tarTrailer = 2 * tarBlock
)

// outputArchive is what an ended job left: where its archive lies and what is in it.
type outputArchive struct {
	key    string
	object schemas.Object
	index  *outputIndex
}

// outputIndex finds entries by name.
type outputIndex struct {
	atrest.Index
	byName map[string]int
}

func newIndexCache() *lru.Cache[string, *outputIndex] {
	kept, err := lru.New[string, *outputIndex](indexesKept)
	if err != nil {
		panic("api: " + err.Error()) // only a size that is not positive
	}
	return kept
}

// archive finds a job's outputs. A job that ended without any gives nil.
func (a *API) archive(ctx context.Context, r schemas.Record) (*outputArchive, error) {
	if !r.State.Terminal() {
		return nil, kindNotEnded.problem("job "+r.ID+" is "+string(r.State)+"; its outputs are there once it has ended",
			"GET /v1/jobs/"+r.ID+"?wait=30s waits for its end")
	}
	if r.Result == nil {
		return nil, kindNotFound.problem("job "+r.ID+" is "+string(r.State)+" and has no outputs", "")
	}
	result, err := a.result(ctx, r)
	if err != nil {
		return nil, err
	}
	if result == nil {
		return nil, gone(r)
	}
	if result.Archive == nil || result.Index == nil {
		return nil, nil
	}
	index, err := a.readIndex(ctx, r, *result.Index)
	if errors.Is(err, objstore.ErrNotFound) {
		return nil, gone(r)
	}
	if err != nil {
		return nil, err
	}
	if index.ArchiveSize != result.Archive.Size || index.ArchiveSHA256 != result.Archive.SHA256 {
		return nil, fmt.Errorf("outputs of %s: index and result differ: %w", r.ID, errCorrupt)
	}
	return &outputArchive{key: attemptObject(r, *result.Archive), object: *result.Archive, index: index}, nil
}

func gone(r schemas.Record) error {
	return kindNotFound.problem("the outputs of job "+r.ID+" are no longer stored", "")
}

func attemptObject(r schemas.Record, o schemas.Object) string {
	return schemas.AttemptKey(r.Tenant, r.ID, accepted(r), o.Name)
}

func (a *API) readIndex(ctx context.Context, r schemas.Record, object schemas.Object) (*outputIndex, error) {
	key := attemptObject(r, object)
	if kept, ok := a.indexes.Get(key); ok {
		return kept, nil
	}
	data, err := a.objects.read(ctx, key, object, maxIndexBytes)
	if err != nil {
		return nil, err
	}
	decoded, err := atrest.DecodeIndex(bytes.NewReader(data), maxIndexBytes)
	if err != nil {
		return nil, fmt.Errorf("outputs of %s: %w", r.ID, err)
	}
	index := &outputIndex{Index: decoded, byName: make(map[string]int, len(decoded.Entries))}
	for i, e := range decoded.Entries {
		index.byName[e.Name()] = i
	}
	if len(decoded.Entries) <= indexKeptEntries {
		a.indexes.Add(key, index)
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

// list is the index as clients see it: where the bytes lie is left out.
func (x *outputIndex) list() []schemas.Output {
	outputs := make([]schemas.Output, 0, len(x.Entries))
	for _, e := range x.Entries {
		content := e
		if e.Type == atrest.TypeHardlink {
			content, _ = x.find(e.Name())
		}
		o := schemas.Output{
			Path: e.Path, PathBase64: e.PathBase64, Type: content.Type, Size: content.Size, Mode: fmt.Sprintf("%04o", e.Mode),
			SHA256: content.SHA256, MediaType: content.MediaType,
		}
		if e.Type == atrest.TypeSymlink {
			o.Link = e.Link
		}
		outputs = append(outputs, o)
	}
	return outputs
}
