package producer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// silence is how long a stream may be without even a comment before it counts as broken.
const silence = time.Minute

var errEnd = errors.New("end of the stream")

// eventSource reads a stream of server-sent events over as many connections as
// it takes.
type eventSource struct {
	client *Client
	get    call
	// lastID is where the next connection goes on.
	lastID string
	// connected is called before each connection's first event; may be nil.
	connected func()
	// handle returns errEnd when nothing more is wanted.
	handle   func(message) error
	patience *patience
}

// run returns nil at the end, or the error that it did not get over.
func (s *eventSource) run(ctx context.Context) error {
	s.patience = s.client.newPatience()
	for first := true; ; first = false {
		err := s.stream(ctx)
		if errors.Is(err, errEnd) {
			return nil
		}
		if !(first && refused(err)) {
			err = s.patience.pause(ctx, err)
		}
		if err != nil {
			return err
		}
	}
}

// stream reads one connection to its end. It returns errEnd when there is nothing more to do.
func (s *eventSource) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.get.accept, s.get.header = "text/event-stream", http.Header{}
	if s.lastID != "" {
		s.get.header.Set("Last-Event-ID", s.lastID)
	}
	resp, err := s.client.send(ctx, s.get)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return errEnd
	}
	if s.connected != nil {
		s.connected()
	}
	watch := time.AfterFunc(silence, func() {
		cancel(&UnreachableError{Server: s.client.Server(), Err: fmt.Errorf("nothing heard for %s", silence)})
	})
	defer watch.Stop()
	events := newSSEReader(resp.Body)
	events.id = s.lastID
	for {
		m, err := events.next(func() { watch.Reset(silence) })
		s.lastID = events.id
		if err != nil {
			return s.client.unreachable(ctx, err)
		}
		s.patience.reset()
		if err := s.handle(m); err != nil {
			return err
		}
	}
}
