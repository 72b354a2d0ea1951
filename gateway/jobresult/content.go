package jobresult

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// ErrLost: the object store has not what a record names, or has other bytes in its place.
var ErrLost = errors.New("lost by the object store")

// A LostError says which object is lost, and how that shows. It wraps [ErrLost].
type LostError struct {
	Key string
	Why string
}

func (e *LostError) Error() string { return fmt.Sprintf("%s is %s: %s", e.Key, ErrLost, e.Why) }

func (e *LostError) Unwrap() error { return ErrLost }

// Content is an object as it is read from the store. Its last Read fails with
// [ErrLost] instead of io.EOF unless the whole of it was what was asked for.
type Content struct {
	key  string
	body io.Closer
	r    io.Reader
	err  error // the last one of r
}

// Open opens an object that is held to its size and digest.
func (r *Reader) Open(ctx context.Context, key string, object schemas.Object) (*Content, error) {
	c, err := r.OpenPart(ctx, key, object, objstore.Range{})
	if err != nil {
		return nil, err
	}
	sum, _ := schemas.ParseDigest(object.SHA256) // OpenPart has looked at it
	if c.r, err = objstore.NewVerifyReader(ctx, c.r, objstore.PutOptions{Size: object.Size, SHA256: sum}); err != nil {
		c.Close()
		return nil, &LostError{key, err.Error()}
	}
	return c, nil
}

// OpenPart opens a part of an object. Nothing but what the store itself says of
// the whole is checked: the part must have a digest of its own.
func (r *Reader) OpenPart(ctx context.Context, key string, object schemas.Object, part objstore.Range) (*Content, error) {
	if err := readable(key, object); err != nil {
		return nil, err
	}
	body, info, err := r.store.Get(ctx, key, part)
	if err == nil {
		if err = compare(key, object, info); err != nil {
			body.Close()
			return nil, err
		}
		return &Content{key: key, body: body, r: body}, nil
	}
	return nil, unread(key, err)
}

// Check asks the store whether it has an object, with its size, and its digest as
// far as the store knows one: one request, and nothing is read.
func (r *Reader) Check(ctx context.Context, key string, object schemas.Object) error {
	if err := readable(key, object); err != nil {
		return err
	}
	info, err := r.store.Stat(ctx, key)
	if err != nil {
		return unread(key, err)
	}
	return compare(key, object, info)
}

// readable is whether there can be such an object at all.
func readable(key string, object schemas.Object) error {
	if _, err := schemas.ParseDigest(object.SHA256); err != nil || object.Size < 0 {
		return &LostError{key, fmt.Sprintf("it should have %d bytes and the digest %.80q", object.Size, object.SHA256)}
	}
	return nil
}

// unread says what an error of the store means.
func unread(key string, err error) error {
	switch {
	case errors.Is(err, objstore.ErrNotFound):
		return &LostError{key, "it is not there"}
	case errors.Is(err, objstore.ErrRange):
		return &LostError{key, err.Error()}
	}
	return fmt.Errorf("read %s: %w", key, err)
}

// compare holds what the store has to what it should be.
func compare(key string, want schemas.Object, has objstore.Info) error {
	sum, _ := schemas.ParseDigest(want.SHA256) // readable has looked at it
	switch {
	case has.Size != want.Size:
		return &LostError{key, fmt.Sprintf("it has %d bytes, want %d", has.Size, want.Size)}
	case has.SHA256 != "" && has.SHA256 != sum:
		return &LostError{key, fmt.Sprintf("its digest is %s, want %s", has.SHA256, sum)}
	}
	return nil
}

func (c *Content) Read(p []byte) (n int, err error) {
	n, err = c.r.Read(p)
	if err == nil || err == io.EOF {
		c.err = err
		return n, err
	}
	if errors.Is(err, objstore.ErrDigest) || errors.Is(err, objstore.ErrSize) {
		err = &LostError{c.key, err.Error()}
	} else {
		err = fmt.Errorf("read %s: %w", c.key, err)
	}
	c.err = err
	return n, err
}

// Close lets go of the object.
func (c *Content) Close() error { return c.body.Close() }

// Explain says what an error of somebody who decodes the content means: that it
// could not be read, or else that it is not what was stored.
func (c *Content) Explain(err error) error {
	switch {
	case err == nil || err == io.EOF:
		return err
	case c.err != nil && c.err != io.EOF:
		return c.err
	}
	return &LostError{c.key, err.Error()}
}

// Decoded is what a decoder makes of a content. Its errors are explained, and it
// ends well only if the content does.
type Decoded struct {
	Content *Content
	From    io.Reader
}

func (d Decoded) Read(p []byte) (int, error) {
	n, err := d.From.Read(p)
	if err == io.EOF {
		_, err = io.Copy(io.Discard, d.Content)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	return n, d.Content.Explain(err)
}
