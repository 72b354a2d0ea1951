package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/schemas"
)

// finish tells the rest of the output of a job that has ended, from the store,
// and that this was all.
func (f *follower) finish(ctx context.Context, rec schemas.Record) {
	err := f.remainder(ctx, rec)
	if errors.Is(err, jobresult.ErrLost) {
		err = f.whetherLost(ctx, rec, err)
	}
	lost := errors.Is(err, jobresult.ErrLost)
	switch {
	case ctx.Err() != nil:
		return
	case lost:
		f.c.log.Error("output is lost", "job", f.job, "err", err)
	case err != nil:
		f.c.log.Warn("end of output not told", "job", f.job, "err", err)
		return
	}
	f.send(ctx, Update{End: &Ending{Lost: lost}})
}

// whetherLost is nil if what is missing has rightly gone since the record was read.
func (f *follower) whetherLost(ctx context.Context, rec schemas.Record, err error) error {
	newest, readErr := f.c.Get(ctx, f.tenant, f.job)
	switch {
	case errors.Is(readErr, ErrNotFound), readErr == nil && (newest.PurgedUS != rec.PurgedUS || newest.CreatedUS != rec.CreatedUS):
		return nil
	case readErr != nil:
		return readErr
	}
	return err
}

// remainder tells what the follower lacks of both streams. An attempt without a
// result has nothing in the store.
func (f *follower) remainder(ctx context.Context, rec schemas.Record) error {
	_, attempt := rec.Produced()
	if !rec.State.Terminal() || rec.Outcome == nil || !rec.HasResult() || rec.ResultExpired() || attempt == 0 {
		return nil
	}
	if attempt != f.at.Attempt {
		f.at = Offsets{Attempt: attempt}
	}
	result, err := f.c.objects.Result(ctx, rec)
	if err != nil {
		return err
	}
	stdout := f.rest(ctx, rec, result, schemas.LiveStdout, result.Stdout.Bytes)
	if stdout != nil && !errors.Is(stdout, jobresult.ErrLost) {
		return stdout
	}
	// That one stream is lost is no reason to leave out the other.
	stderr := f.rest(ctx, rec, result, schemas.LiveStderr, result.Stderr.Bytes)
	if stderr != nil && !errors.Is(stderr, jobresult.ErrLost) {
		return stderr
	}
	return errors.Join(stdout, stderr)
}

// rest tells what the follower lacks of a stream that has so many bytes.
func (f *follower) rest(ctx context.Context, rec schemas.Record, result schemas.Result, stream string, bytes int64) error {
	for done := *f.offset(stream) >= bytes; !done; {
		piece, err := f.piece(ctx, rec, result, stream)
		for data := range slices.Chunk(piece, chunkBytes) {
			f.chunk(ctx, stream, schemas.LogChunk{Offset: *f.offset(stream), Data: data})
		}
		if done = err == io.EOF; err != nil && !done {
			return err
		}
	}
	return nil
}

const (
	// pieceBytes is how much of a stored log is read at once, and decompressed for
	// that from its beginning: what decompresses takes up to 8 MiB, which nobody may
	// hold for as long as a follower takes to read.
	pieceBytes = 1 << 20
	// logsAtOnce is for how many followers that is done at the same time.
	logsAtOnce = 16
)

// piece reads what comes next of a stream in the store; io.EOF with the last of it.
func (f *follower) piece(ctx context.Context, rec schemas.Record, result schemas.Result, stream string) ([]byte, error) {
	if err := f.c.logs.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer f.c.logs.Release(1)
	log, err := f.c.objects.Log(ctx, rec, result, stream)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if _, err := io.CopyN(io.Discard, log, *f.offset(stream)); err == io.EOF {
		return nil, io.EOF
	} else if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, err)
	}
	data := make([]byte, pieceBytes)
	n, err := io.ReadFull(log, data)
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		err = io.EOF
	case err != nil:
		err = fmt.Errorf("read %s: %w", stream, err)
	}
	return data[:n], err
}
