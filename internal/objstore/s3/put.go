package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/minio/minio-go/v7"

	"github.com/program-explorer/pe/internal/objstore"
)

const (
	checksumHeader = "X-Amz-Checksum-Sha256"
	// memorySpool is how many bytes of an upload of unknown digest are measured
	// in memory; a larger one goes through a file.
	memorySpool = 1 << 20
)

// Put implements objstore.Store. Content whose length and digest are known is
// streamed; any other is spooled first, because the service checks a digest
// only if the request began with it.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, o objstore.PutOptions) (objstore.Info, error) {
	info, err := s.put(ctx, key, r, o)
	if err != nil {
		return objstore.Info{}, s.fail("put object", key, err)
	}
	return info, nil
}

func (s *Store) put(ctx context.Context, key string, r io.Reader, o objstore.PutOptions) (objstore.Info, error) {
	if err := objstore.ValidateKey(key); err != nil {
		return objstore.Info{}, err
	}
	v, err := objstore.NewVerifyReader(ctx, r, o)
	if err != nil {
		return objstore.Info{}, err
	}
	if o.Size >= 0 && o.SHA256 != "" {
		return s.send(ctx, key, v, o)
	}
	body, done, err := s.spool(v)
	if err != nil {
		return objstore.Info{}, err
	}
	defer done()
	o.Size, o.SHA256 = v.Size(), v.SHA256()
	if v, err = objstore.NewVerifyReader(ctx, body, o); err != nil {
		return objstore.Info{}, err
	}
	return s.send(ctx, key, v, o)
}

// send is one PUT of known length and digest.
func (s *Store) send(ctx context.Context, key string, v *objstore.VerifyReader, o objstore.PutOptions) (objstore.Info, error) {
	opts := minio.PutObjectOptions{
		ContentType:      o.ContentType,
		UserMetadata:     map[string]string{checksumHeader: checksum(o.SHA256)},
		DisableMultipart: true,
	}
	if o.IfAbsent {
		opts.SetMatchETagExcept("*")
	}
	body := &lastError{r: v}
	if o.Size == 0 {
		if _, err := body.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			return objstore.Info{}, err
		}
	}
	up, err := s.core.PutObject(ctx, s.config.Bucket, key, body, o.Size, "", o.SHA256, opts)
	if body.err != nil && !errors.Is(body.err, io.EOF) {
		// What was wrong with the content says more than how the request broke off.
		return objstore.Info{}, body.err
	}
	if err != nil {
		return objstore.Info{}, err
	}
	if err := body.drained(); err != nil {
		// The first Size bytes were right and were stored, but the caller's
		// content goes on: it is not what was announced.
		return objstore.Info{}, errors.Join(err, s.Delete(context.WithoutCancel(ctx), key))
	}
	contentType := o.ContentType
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	return objstore.Info{Key: key, Size: o.Size, SHA256: o.SHA256, ModTime: up.LastModified, ContentType: contentType}, nil
}

// lastError remembers how the reading ended, which the HTTP client does not tell.
type lastError struct {
	r   io.Reader
	err error
}

func (l *lastError) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if err != nil {
		l.err = err
	}
	return n, err
}

// drained makes the verdict: the client stops at the announced length.
func (l *lastError) drained() error {
	if l.err == nil {
		if _, err := l.Read(make([]byte, 1)); err == nil {
			return objstore.ErrSize
		}
	}
	if !errors.Is(l.err, io.EOF) {
		return l.err
	}
	return nil
}

// spool reads v to its verified end and gives the content back.
func (s *Store) spool(v *objstore.VerifyReader) (io.Reader, func(), error) {
	var head bytes.Buffer
	n, err := io.Copy(&head, io.LimitReader(v, memorySpool))
	if err != nil {
		return nil, nil, err
	}
	if n < memorySpool {
		return &head, func() {}, nil
	}
	f, err := os.CreateTemp(s.config.SpoolDir, "pe-spool-*")
	if err != nil {
		return nil, nil, fmt.Errorf("spool: %w", err)
	}
	// Without a name the file cannot outlive this process.
	os.Remove(f.Name())
	if _, err = io.Copy(f, io.MultiReader(&head, v)); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("spool: %w", err)
	}
	return f, func() { f.Close() }, nil
}

func checksum(sha256Hex string) string {
	b, err := hex.DecodeString(sha256Hex)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(b)
}
