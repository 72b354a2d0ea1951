package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
)

// position is how far a reader of a job's stream has come: the attempt, and
// how many bytes of its stdout and stderr. It travels as the id of every event.
type position coordinator.Offsets

func (p position) String() string { return fmt.Sprintf("%d.%d.%d", p.Attempt, p.Stdout, p.Stderr) }

// maxPosition bounds the parts of a position, far above anything real.
const maxPosition = 1 << 50

// parsePosition reads what a client sends back as Last-Event-ID.
func parsePosition(s string) (position, error) {
	var p position
	parts := strings.Split(s, ".")
	if len(s) > 64 || len(parts) != 3 {
		return p, fmt.Errorf("event id %.80q: want attempt.stdout.stderr", s)
	}
	var numbers [3]int64
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 63)
		if err != nil || n > maxPosition || i == 0 && n > 1<<31-1 || strconv.FormatUint(n, 10) != part {
			return p, fmt.Errorf("event id %.80q: %q is no offset", s, part)
		}
		numbers[i] = int64(n)
	}
	return position{Attempt: int(numbers[0]), Stdout: numbers[1], Stderr: numbers[2]}, nil
}

// eventStream writes server-sent events. A reader that takes nothing for the
// length of stall is dropped: the deadline makes the next write fail.
type eventStream struct {
	w     http.ResponseWriter
	stall time.Duration
	buf   []byte
}

func newEventStream(w http.ResponseWriter, stall time.Duration) *eventStream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies that know it pass events on at once
	return &eventStream{w: w, stall: stall}
}

// event adds one event to what flush sends; at is nil in a stream that can't be
// resumed. JSON on one line needs no escaping for the stream's format.
func (s *eventStream) event(kind string, at fmt.Stringer, data any) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	if at != nil {
		s.buf = fmt.Appendf(s.buf, "id: %s\n", at)
	}
	s.buf = fmt.Appendf(s.buf, "event: %s\ndata: %s\n\n", kind, encoded)
	if len(s.buf) >= 64<<10 {
		return s.flush()
	}
	return nil
}

// reached tells how far the stream is though there was nothing to tell: an id
// without data is no event, and is what the client resumes from.
func (s *eventStream) reached(at fmt.Stringer) { s.buf = fmt.Appendf(s.buf, "id: %s\n\n", at) }

// comment keeps connection and proxies awake, and finds out whether the reader is still there.
func (s *eventStream) comment() error {
	s.buf = append(s.buf, ":\n\n"...)
	return s.flush()
}

// flush sends what was added.
func (s *eventStream) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	stretch(s.w, s.stall)
	if _, err := s.w.Write(s.buf); err != nil {
		return fmt.Errorf("send events: %w", err)
	}
	s.buf = s.buf[:0]
	if err := http.NewResponseController(s.w).Flush(); err != nil {
		return fmt.Errorf("send events: %w", err)
	}
	return nil
}
