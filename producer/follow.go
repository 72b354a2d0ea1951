package producer

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"

	"github.com/program-explorer/pe/schemas"
)

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

// Follow yields what happens to a job, from the beginning, until it has ended.
// It goes on where it was over broken connections and a restarting gateway,
// and yields no output twice. It ends after the first error.
func (c *Client) Follow(ctx context.Context, id string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f := follower{yield: yield}
		source := eventSource{client: c, get: call{method: http.MethodGet, path: []string{"v1", "jobs", id, "logs"}}, handle: f.handle}
		if err := source.run(ctx); err != nil {
			yield(Event{}, fmt.Errorf("follow job %s: %w", id, err))
		}
	}
}

// follower is what lasts from one connection to the next.
type follower struct {
	yield   func(Event, error) bool
	attempt int
	// seen is of stdout and stderr of this attempt.
	seen seen[string]
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
			f.attempt, f.seen = e.Change.Attempt, seen[string]{}
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
		f.seen = seen[string]{}
	}
	e.Data, e.Offset = f.seen.rest(m.event, text.Offset, data)
	return nil
}

// seen is how far each text was yielded, in bytes: a new connection may begin anew with it.
type seen[Text comparable] map[Text]int64

// rest is what of a piece that begins at offset was not yielded before, and where that begins.
func (s seen[Text]) rest(of Text, offset int64, data []byte) ([]byte, int64) {
	again := min(max(s[of]-offset, 0), int64(len(data)))
	s[of] = max(s[of], offset+int64(len(data)))
	return data[again:], offset + again
}
