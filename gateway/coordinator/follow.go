package coordinator

import (
	"context"
	"fmt"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Offsets say how much of an attempt's output a follower has, in bytes.
type Offsets struct {
	Attempt        int
	Stdout, Stderr int64
}

// Update is something new about a job: its record, or what its attempt does or
// writes. Exactly one of Record, Stage, Chunk and End is set; Stream (stdout or
// stderr) comes with Chunk, Attempt with Stage and Chunk. A new attempt's
// output begins at 0 again. Chunks of a stream have no gaps.
type Update struct {
	Record  *schemas.Record
	Stage   *schemas.Stage
	Stream  string
	Chunk   *schemas.LogChunk
	Attempt int
	End     *Ending
}

// An Ending says that a job has ended and that all of its output was told that
// there is: the last update.
type Ending struct {
	// Lost: there was more, which the object store has lost.
	Lost bool
}

const (
	// chunkBytes bounds the chunks that come from the store.
	chunkBytes = 64 << 10
	logTimeout = 5 * time.Second
	// dropCheck is how often a quiet job is checked for output that was dropped on its way.
	dropCheck = time.Second
)

// Follow tells of a job until it has ended and all its output has been told,
// which its last update says; without that one there is more, to be asked for
// again: ctx or the coordinator has ended, or the object store did not answer.
// Then the channel is closed. It begins with the record, and with what follows
// the given offsets. A slow reader misses states between two
// reads, never output, and slows nobody.
func (c *Coordinator) Follow(ctx context.Context, tenant, job string, from Offsets) (<-chan Update, error) {
	rec, h, stop, err := c.hear(ctx, tenant, job)
	if err != nil {
		return nil, err
	}
	listener, err := c.queue.Listen(job)
	if err != nil {
		stop()
		return nil, err
	}
	f := &follower{c: c, tenant: tenant, job: job, at: from, out: make(chan Update, 8), records: h.newest, listener: listener}
	c.background.Go(func() {
		ctx, cancel := c.whileRunning(ctx)
		defer cancel()
		defer close(f.out)
		defer listener.Close()
		defer stop()
		f.run(ctx, rec)
	})
	return f.out, nil
}

// whileRunning gives a context that also ends when the coordinator does.
func (c *Coordinator) whileRunning(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-c.stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

type follower struct {
	c           *Coordinator
	tenant, job string
	at          Offsets
	out         chan Update
	records     <-chan schemas.Record
	listener    *jobqueue.Listener
	dropped     int
	executor    string
}

func (f *follower) run(ctx context.Context, rec schemas.Record) {
	ctx, cancel := context.WithCancel(ctx)
	live := f.hear(ctx)
	defer func() { // before the listener is closed
		cancel()
		for range live {
		}
	}()
	check := time.NewTicker(dropCheck)
	defer check.Stop()
	f.enter(ctx, rec)
	for !rec.State.Terminal() && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case rec = <-f.records:
			f.enter(ctx, rec)
		case m, ok := <-live:
			if !ok {
				return
			}
			f.message(ctx, m)
		case <-check.C:
			f.refill(ctx)
		}
	}
	f.finish(ctx, rec)
}

// hear passes live messages on, one at a time: those that wait are counted by
// the listener, which drops what is too much.
func (f *follower) hear(ctx context.Context) <-chan jobqueue.Live {
	live := make(chan jobqueue.Live)
	go func() {
		defer close(live)
		for {
			m, err := f.listener.Next(ctx)
			if err != nil {
				return
			}
			select {
			case live <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	return live
}

func (f *follower) send(ctx context.Context, u Update) {
	select {
	case f.out <- u:
	case <-ctx.Done():
	}
}

// enter tells a new record, and begins with a new attempt's output.
func (f *follower) enter(ctx context.Context, rec schemas.Record) {
	f.send(ctx, Update{Record: &rec})
	a := rec.Current()
	if a == nil {
		return
	}
	if a.N != f.at.Attempt {
		f.at = Offsets{Attempt: a.N}
	}
	f.executor = a.Executor
	f.catchUp(ctx, schemas.LiveStdout)
	f.catchUp(ctx, schemas.LiveStderr)
}

func (f *follower) offset(stream string) *int64 {
	if stream == schemas.LiveStderr {
		return &f.at.Stderr
	}
	return &f.at.Stdout
}

// message tells what was said live, if the attempt that holds the job said it.
func (f *follower) message(ctx context.Context, m jobqueue.Live) {
	if m.Attempt != f.at.Attempt || m.Executor != f.executor {
		return
	}
	if m.Kind == schemas.LiveStage {
		if s, err := schemas.DecodeControl[schemas.Stage](m.Body); err == nil {
			f.send(ctx, Update{Stage: &s, Attempt: m.Attempt})
		}
		return
	}
	chunk, err := schemas.DecodeControl[schemas.LogChunk](m.Body)
	if err != nil {
		return
	}
	if chunk.Offset > *f.offset(m.Kind) {
		f.catchUp(ctx, m.Kind)
	}
	f.chunk(ctx, m.Kind, chunk)
}

// chunk tells the part of a chunk that is new. What would leave a gap is left out.
func (f *follower) chunk(ctx context.Context, stream string, chunk schemas.LogChunk) {
	have := f.offset(stream)
	if skip := *have - chunk.Offset; skip >= 0 && skip < int64(len(chunk.Data)) {
		data := chunk.Data[skip:]
		f.send(ctx, Update{Stream: stream, Attempt: f.at.Attempt, Chunk: &schemas.LogChunk{Offset: *have, Data: data}})
		*have += int64(len(data))
	}
}

// refill asks for what was dropped when nothing after it tells of a gap.
func (f *follower) refill(ctx context.Context) {
	if n := f.listener.Dropped(); n != f.dropped {
		f.dropped = n
		f.catchUp(ctx, schemas.LiveStdout)
		f.catchUp(ctx, schemas.LiveStderr)
	}
}

// catchUp asks the executor for what the attempt wrote so far, as much as is
// kept of a stream: it must not be able to send without end.
func (f *follower) catchUp(ctx context.Context, stream string) {
	for ctx.Err() == nil && *f.offset(stream) < schemas.StdioLog {
		have := *f.offset(stream)
		reply, err := f.logs(ctx, stream, have)
		if err != nil {
			f.c.log.Debug("output not fetched", "job", f.job, "stream", stream, "err", err)
			return // the whole comes from the store at the end
		}
		if reply.Gone || len(reply.Data) == 0 {
			return
		}
		f.chunk(ctx, stream, schemas.LogChunk{Offset: have, Data: reply.Data})
		if *f.offset(stream) >= reply.End {
			return
		}
	}
}

func (f *follower) logs(ctx context.Context, stream string, offset int64) (reply schemas.LogsReply, err error) {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	ask := schemas.LogsRequest{
		Held:   schemas.Held{Tenant: f.tenant, Job: f.job, Attempt: f.at.Attempt},
		Stream: stream, Offset: offset,
	}
	if err = f.c.queue.Command(ctx, f.executor, schemas.CommandLogs, ask, &reply); err == nil && len(reply.Data) > schemas.MaxLogChunk {
		err = fmt.Errorf("executor %s sent %d bytes at once", f.executor, len(reply.Data))
	}
	return reply, err
}
