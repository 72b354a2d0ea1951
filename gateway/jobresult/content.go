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
	sum, err := schemas.ParseDigest(object.SHA256)
	if err != nil || object.Size < 0 {
		return nil, &LostError{key, fmt.Sprintf("it should have %d bytes and the digest %.80q", object.Size, object.SHA256)}
	}
	body, info, err := r.store.Get(ctx, key, part)
	switch {
	case errors.Is(err, objstore.ErrNotFound):
		return nil, &LostError{key, "it is not there"}
	case errors.Is(err, objstore.ErrRange):
		return nil, &LostError{key, err.Error()}
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	c := &Content{key: key, body: body, r: body}
	if info.Size != object.Size {
		c.Close()
		return nil, &LostError{key, fmt.Sprintf("it has %d bytes, want %d", info.Size, object.Size)}
	}
	if info.SHA256 != "" && info.SHA256 != sum {
		c.Close()
		return nil, &LostError{key, fmt.Sprintf("its digest is %s, want %s", info.SHA256, sum)}
	}
	return c, nil
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
