// Package objstore is the one interface to object storage: a job's inputs, its
// specification and its outputs pass through it between submission and result.
//
// Two backends implement it and pass one suite (objstoretest): dir, the
// embedded default that syncs to disk, and s3, any S3 service. The package
// knows keys and bytes. It must not know what a job is (schemas), nor the queue.
package objstore

import (
	"context"
	"errors"
	"io"
	"time"
)

// MaxSignExpiry is the longest life of a signed request. Executors are given
// URLs, never credentials, so a leaked URL must die soon.
const MaxSignExpiry = 5 * time.Minute

// MaxObjectSize is the largest object in bytes that every backend takes: the
// limit of a single S3 PUT. Nothing here uploads in parts, because only a
// single PUT carries a checksum of the whole object.
const MaxObjectSize = 5 << 30

// MaxContentType is the longest content type in bytes that is kept.
const MaxContentType = 127

// Errors that callers branch on. Backends wrap them with the verb and the key.
var (
	// ErrNotFound: there is no object under the key.
	ErrNotFound = errors.New("object not found")
	// ErrExists: IfAbsent was asked for and the key is taken.
	ErrExists = errors.New("object exists already")
	// ErrDigest: the bytes do not have the SHA-256 that was announced.
	ErrDigest = errors.New("content does not match its sha256")
	// ErrSize: the content is shorter, longer or larger than was announced or allowed.
	ErrSize = errors.New("content has the wrong size")
	// ErrKey: the key is malformed (see ValidateKey).
	ErrKey = errors.New("invalid object key")
	// ErrRange: the range lies outside of the object.
	ErrRange = errors.New("range not satisfiable")
	// ErrFull: the store has no room left; nothing of the object was kept.
	ErrFull = errors.New("no space left in the object store")
	// ErrUnavailable: the store could not be reached or refused our credentials.
	ErrUnavailable = errors.New("object store is not available")
	// ErrOptions: the options contradict themselves or pass a limit.
	ErrOptions = errors.New("invalid object store options")
)

// Info describes one object.
type Info struct {
	Key  string
	Size int64 // bytes
	// SHA256 is lower-case hex, or empty where the backend does not know it
	// (List never does; S3 objects written by others may not).
	SHA256  string
	ModTime time.Time
	// ContentType is empty in results of List.
	ContentType string
}

// PutOptions are the conditions of one Put.
type PutOptions struct {
	// Size is the exact length in bytes, -1 when unknown. Content of another length is ErrSize.
	Size int64
	// MaxSize bounds the content in bytes; 0 means MaxObjectSize. More is ErrSize.
	MaxSize int64
	// SHA256 is the expected digest in lower-case hex, verified while
	// streaming; empty means not known. Other content is ErrDigest.
	SHA256 string
	// IfAbsent makes the put fail with ErrExists when the key is taken. Of
	// several such puts at once exactly one wins.
	IfAbsent bool
	// ContentType is stored beside the object; default application/octet-stream.
	ContentType string
}

// SignPutOptions are the conditions that a signed PUT is held to by the store.
type SignPutOptions struct {
	Size     int64  // exact length in bytes, required (0 is an empty object)
	SHA256   string // expected digest in lower-case hex, required
	IfAbsent bool   // refuse (412) when the key is taken
	// Expires is the URL's life, 1 s to MaxSignExpiry; 0 means MaxSignExpiry.
	Expires time.Duration
}

// Range selects bytes of an object. The zero Range is all of it.
type Range struct {
	Offset int64 // first byte, from 0
	Length int64 // number of bytes; 0 means to the end. More than there is gives what there is.
}

// Store keeps objects by key. All methods are safe for concurrent use, and
// every one refuses malformed keys with ErrKey.
type Store interface {
	// Put stores all of r under key: durably and completely, or not at all.
	Put(ctx context.Context, key string, r io.Reader, o PutOptions) (Info, error)
	// Get opens an object. The Info describes the whole object, whatever the range.
	Get(ctx context.Context, key string, r Range) (io.ReadCloser, Info, error)
	Stat(ctx context.Context, key string) (Info, error)
	// List gives up to limit objects (1 to 1000; 0 means 1000) whose keys begin
	// with prefix and sort after the key after, in byte order. Pass the last key
	// of a page as after to get the next one; a short page is the last one.
	List(ctx context.Context, prefix, after string, limit int) ([]Info, error)
	// Delete removes an object; an absent one is no error.
	Delete(ctx context.Context, key string) error
	// SignPut gives a request that lets its holder store exactly one content.
	SignPut(ctx context.Context, key string, o SignPutOptions) (SignedRequest, error)
	// SignGet gives a request that reads the object (Range allowed) until it
	// expires: 1 s to MaxSignExpiry; 0 means MaxSignExpiry.
	SignGet(ctx context.Context, key string, expires time.Duration) (SignedRequest, error)
}
