package api

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// A storedLog is what an ended job wrote to stdout or stderr, as far as it was kept.
type storedLog struct {
	io.Reader
	close func()
}

func (s *storedLog) Close() { s.close() }

// openLog opens a stream of an ended job: the head that the result holds, or
// the object with all that was kept if the head is not everything.
func (a *API) openLog(ctx context.Context, r schemas.Record, stream string) (*storedLog, error) {
	nothing := &storedLog{Reader: strings.NewReader(""), close: func() {}}
	if r.ResultExpired() {
		return nil, kindExpired.problem("the logs of job "+r.ID+" have expired", "run it again")
	}
	if !r.HasResult() {
		return nothing, nil // ended without having run, or its executor was lost with its log
	}
	result, err := a.result(ctx, r)
	if err != nil || result == nil {
		return nothing, err
	}
	kept := result.Stdout
	if stream == schemas.LiveStderr {
		kept = result.Stderr
	}
	if kept.Log == nil {
		head, err := headOf(kept)
		return &storedLog{Reader: strings.NewReader(head), close: func() {}}, err
	}
	return a.openLogObject(ctx, r.ResultKey(kept.Log.Name), *kept.Log)
}

// headOf gives the bytes that the program wrote.
func headOf(s schemas.Stdio) (string, error) {
	if s.Base64 == "" {
		return s.Text, nil
	}
	head, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil {
		return "", fmt.Errorf("decode head of a log: %w", err)
	}
	return string(head), nil
}

// maxZstdWindow bounds the memory that a frame may ask for: 8 MiB is what every
// decoder of the format has to support.
const maxZstdWindow = 8 << 20

// openLogObject decompresses the object as it is read, held to its digest and
// to [schemas.StdioLog] bytes: an executor wrote it.
func (a *API) openLogObject(ctx context.Context, key string, object schemas.Object) (*storedLog, error) {
	sum, err := schemas.ParseDigest(object.SHA256)
	if err != nil {
		return nil, fmt.Errorf("read log %s: %w", key, err)
	}
	body, _, err := a.store.Get(ctx, key, objstore.Range{})
	if errors.Is(err, objstore.ErrNotFound) {
		return &storedLog{Reader: strings.NewReader(""), close: func() {}}, nil // expired before its record
	}
	if err != nil {
		return nil, fmt.Errorf("read log %s: %w", key, err)
	}
	verified, err := objstore.NewVerifyReader(ctx, body, objstore.PutOptions{Size: object.Size, SHA256: sum})
	if err != nil {
		body.Close()
		return nil, fmt.Errorf("read log %s: %w", key, err)
	}
	plain, err := zstd.NewReader(verified, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
	if err != nil {
		body.Close()
		return nil, fmt.Errorf("read log %s: %w", key, err)
	}
	return &storedLog{Reader: io.LimitReader(plain, schemas.StdioLog), close: func() { plain.Close(); body.Close() }}, nil
}
