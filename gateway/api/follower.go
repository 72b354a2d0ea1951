package api

import (
	"context"
	"errors"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// A follower is one client that reads a job's events.
type follower struct {
	api    *API
	stream *eventStream
	at     position
	told   schemas.StreamChange // the last change of state sent
	ending *coordinator.Ending  // once all was told
}

// errStreamEnded breaks the connection, so that the client takes up the stream again.
var errStreamEnded = errors.New("the coordinator ended the stream before all was told")

// run sends updates until there are no more: the job has ended and all of its
// output was told.
func (f *follower) run(ctx context.Context, updates <-chan coordinator.Update, every time.Duration) error {
	beat := time.NewTicker(every)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.api.draining:
			return f.stream.flush() // the client resumes by itself, wherever the gateway is then
		case <-beat.C:
			if err := f.stream.comment(); err != nil {
				return err
			}
		case u, ok := <-updates:
			if !ok {
				return f.end()
			}
			if err := f.update(u); err != nil {
				return err
			}
			if len(updates) > 0 {
				continue
			}
			if err := f.stream.flush(); err != nil {
				return err
			}
		}
	}
}

func (f *follower) end() error {
	if f.ending == nil {
		return errStreamEnded
	}
	last := f.told
	last.OutputLost = f.ending.Lost
	if err := f.stream.event(schemas.StreamEnd, f.at, last); err != nil {
		return err
	}
	return f.stream.flush()
}

// update sends what the coordinator says has happened.
func (f *follower) update(u coordinator.Update) error {
	switch {
	case u.Record != nil:
		return f.change(*u.Record)
	case u.End != nil:
		f.ending = u.End
		return nil
	case u.Attempt != f.at.Attempt:
		return nil // of an attempt whose record is yet to come
	case u.Stage != nil:
		return f.stream.event(schemas.StreamStage, f.at, u.Stage)
	case u.Chunk != nil:
		return f.text(u.Stream, *u.Chunk)
	}
	return nil
}

// change tells a new state, attempt or executor.
func (f *follower) change(r schemas.Record) error {
	c := f.api.changeOf(r)
	if f.told == c {
		return nil
	}
	f.told = c
	if c.Attempt != f.at.Attempt {
		f.at = position{Attempt: c.Attempt}
	}
	return f.stream.event(schemas.StreamState, f.at, c)
}

func (a *API) changeOf(r schemas.Record) schemas.StreamChange {
	c := schemas.StreamChange{State: r.State, Cancelling: r.Cancel && !r.State.Terminal(), Waiting: a.Jobs.Waiting(r)}
	_, c.Attempt = r.Produced()
	if n := len(r.Attempts); n > 0 {
		if r.State != schemas.StateQueued {
			c.Executor = r.Attempts[n-1].Executor
		}
	}
	return c
}

// text sends a piece of output without what the client has already.
func (f *follower) text(stream string, chunk schemas.LogChunk) error {
	at := &f.at.Stdout
	if stream == schemas.LiveStderr {
		at = &f.at.Stderr
	}
	offset, data := chunk.Offset, chunk.Data
	if again := *at - offset; again > 0 {
		offset, data = *at, data[min(again, int64(len(data))):]
	}
	if len(data) == 0 {
		return nil
	}
	*at = offset + int64(len(data))
	return f.stream.event(stream, f.at, schemas.NewStreamText(offset, data))
}
