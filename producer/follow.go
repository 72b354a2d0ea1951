package producer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// silence is how long a stream may be without even a comment before it counts as broken.
const silence = time.Minute

// An Event is one thing that happens to a job.
type Event struct {
	// Kind is one of schemas.StreamKinds, and says which of the others is set.
	Kind string
	// Change of state, for state and end.
	Change schemas.StreamChange
	// Stage that begins, for stage.
	Stage schemas.Stage
	// Data that the program wrote, for stdout and stderr, at Offset in bytes
	// of what this attempt wrote.
	Data   []byte
	Offset int64
}

var errEnd = errors.New("end of the stream")

// Follow yields what happens to a job, from the beginning, until it has ended.
// It goes on where it was over broken connections and a restarting gateway,
// and yields no output twice. It ends after the first error.
func (c *Client) Follow(ctx context.Context, id string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f := follower{client: c, job: id, yield: yield, patience: c.newPatience()}
		for first := true; ; first = false {
			err := f.stream(ctx)
			if errors.Is(err, errEnd) {
				return
			}
			if !(first && refused(err)) {
				err = f.patience.pause(ctx, err)
			}
			if err != nil {
				yield(Event{}, fmt.Errorf("follow job %s: %w", id, err))
				return
			}
		}
	}
}

// follower is what lasts from one connection to the next.
type follower struct {
	client   *Client
	job      string
	yield    func(Event, error) bool
	patience *patience
	lastID   string
	attempt  int
	// seen is how far stdout and stderr of this attempt were yielded.
	seen map[string]int64
}

// stream reads one connection to its end. It returns errEnd when there is nothing more to do.
func (f *follower) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	get := call{method: http.MethodGet, path: []string{"v1", "jobs", f.job, "logs"}, accept: "text/event-stream", header: http.Header{}}
	if f.lastID != "" {
		get.header.Set("Last-Event-ID", f.lastID)
	}
	resp, err := f.client.send(ctx, get)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return errEnd
	}
	watch := time.AfterFunc(silence, func() {
		cancel(&UnreachableError{Server: f.client.Server(), Err: fmt.Errorf("nothing heard for %s", silence)})
	})
	defer watch.Stop()
	events := newSSEReader(resp.Body)
	for {
		m, err := events.next(func() { watch.Reset(silence) })
		if err != nil {
			return f.client.unreachable(ctx, err)
		}
		f.patience.reset()
		if err := f.handle(m); err != nil {
			return err
		}
		f.lastID = m.id
	}
}

// handle yields one message, without what was yielded before. Events of a kind
// that a newer gateway knows are skipped.
func (f *follower) handle(m message) error {
	e := Event{Kind: m.event}
	var err error
	switch m.event {
	case schemas.StreamState, schemas.StreamEnd:
		err = json.Unmarshal(m.data, &e.Change)
		if e.Change.Attempt != f.attempt || f.seen == nil {
			f.attempt, f.seen = e.Change.Attempt, map[string]int64{}
		}
	case schemas.StreamStage:
		err = json.Unmarshal(m.data, &e.Stage)
	case schemas.StreamStdout, schemas.StreamStderr:
		err = f.text(m, &e)
		if err == nil && len(e.Data) == 0 {
			return nil
		}
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("decode event %.40q: %w", m.event, err)
	}
	if !f.yield(e, nil) || m.event == schemas.StreamEnd {
		return errEnd
	}
	return nil
}

func (f *follower) text(m message, e *Event) error {
	var text schemas.StreamText
	if err := json.Unmarshal(m.data, &text); err != nil {
		return err
	}
	data, err := text.Bytes()
	if err != nil {
		return err
	}
	if f.seen == nil {
		f.seen = map[string]int64{}
	}
	again := min(max(f.seen[m.event]-text.Offset, 0), int64(len(data)))
	e.Data, e.Offset = data[again:], text.Offset+again
	f.seen[m.event] = max(f.seen[m.event], text.Offset+int64(len(data)))
	return nil
}
