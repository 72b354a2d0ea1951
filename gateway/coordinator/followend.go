package coordinator

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// finish tells the rest of the output of a job that has ended, from the store.
// An attempt without a result has none there.
func (f *follower) finish(ctx context.Context, rec schemas.Record) {
	_, attempt := rec.Produced()
	if rec.Outcome == nil || !rec.HasResult() || rec.ResultExpired() || attempt == 0 {
		return
	}
	if attempt != f.at.Attempt {
		f.at = Offsets{Attempt: attempt}
	}
	result, err := f.c.result(ctx, rec)
	if err == nil {
		err = f.rest(ctx, rec, schemas.LiveStdout, schemas.ObjectStdout, result.Stdout)
	}
	if err == nil {
		err = f.rest(ctx, rec, schemas.LiveStderr, schemas.ObjectStderr, result.Stderr)
	}
	if err != nil && ctx.Err() == nil {
		f.c.log.Warn("end of output not told", "job", f.job, "err", err)
	}
}

// result reads the result of a job that has one.
func (c *Coordinator) result(ctx context.Context, rec schemas.Record) (r schemas.Result, err error) {
	if rec.ResultInline != nil {
		return schemas.DecodeResult(bytes.NewReader(rec.ResultInline))
	}
	body, _, err := c.store.Get(ctx, rec.ResultKey(schemas.ObjectResult), objstore.Range{})
	if err != nil {
		return r, fmt.Errorf("read result of job %s: %w", rec.ID, err)
	}
	defer body.Close()
	if r, err = schemas.DecodeResult(body); err != nil {
		return r, fmt.Errorf("result of job %s: %w", rec.ID, err)
	}
	return r, nil
}

// rest tells what the follower lacks of a stream: the head lies in the result,
// a longer log in an object of its own.
func (f *follower) rest(ctx context.Context, rec schemas.Record, stream, object string, s schemas.Stdio) error {
	if *f.offset(stream) >= s.Bytes {
		return nil
	}
	if !s.Truncated {
		return f.copyRest(ctx, stream, bytes.NewReader(head(s)))
	}
	body, _, err := f.c.store.Get(ctx, rec.ResultKey(object), objstore.Range{})
	if err != nil {
		return fmt.Errorf("read %s: %w", object, err)
	}
	defer body.Close()
	log, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(32<<20))
	if err != nil {
		return fmt.Errorf("read %s: %w", object, err)
	}
	defer log.Close()
	return f.copyRest(ctx, stream, io.LimitReader(log, schemas.StdioLog))
}

func head(s schemas.Stdio) []byte {
	if raw, err := base64.StdEncoding.DecodeString(s.Base64); err == nil && s.Base64 != "" {
		return raw
	}
	return []byte(s.Text)
}

// copyRest skips what the follower has.
func (f *follower) copyRest(ctx context.Context, stream string, r io.Reader) error {
	if _, err := io.CopyN(io.Discard, r, *f.offset(stream)); err == io.EOF {
		return nil
	} else if err != nil {
		return fmt.Errorf("read %s: %w", stream, err)
	}
	for ctx.Err() == nil {
		data := make([]byte, chunkBytes)
		n, err := io.ReadFull(r, data)
		if n > 0 {
			f.chunk(ctx, stream, schemas.LogChunk{Offset: *f.offset(stream), Data: data[:n]})
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
	}
	return ctx.Err()
}
