package producer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// Sweep has the gateway delete what no record accounts for, or, in a dry run,
// say what that would be; the client's token must be of the whole system, with the
// scope admin. The context's end stops the sweep; whatever it did stays done,
// and the next one goes on. progress, if it is not nil, is told how far it is.
//
// The report is of what was done so far, also with an error.
func (c *Client) Sweep(ctx context.Context, want schemas.SweepRequest, progress func(schemas.SweepReport)) (schemas.SweepReport, error) {
	s := sweepReader{client: c, progress: progress}
	body, size, err := jsonBody(want)
	if err != nil {
		return s.report, err
	}
	post := call{method: http.MethodPost, path: []string{"v1", "admin", "sweep"}, body: body, size: size, json: true, accept: "text/event-stream"}
	err = c.retryLimited(ctx, func() error { return s.read(ctx, post) })
	return s.report, err
}

// sweepReader reads the answer of one sweep.
type sweepReader struct {
	client   *Client
	progress func(schemas.SweepReport)
	report   schemas.SweepReport
}

func (s *sweepReader) read(ctx context.Context, post call) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resp, err := s.client.send(ctx, post)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	watch := time.AfterFunc(silence, func() {
		cancel(&UnreachableError{Server: s.client.Server(), Err: fmt.Errorf("nothing heard for %s", silence)})
	})
	defer watch.Stop()
	for events := newSSEReader(resp.Body); ; {
		m, err := events.next(func() { watch.Reset(silence) })
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("the sweep's answer broke off: %w", s.client.unreachable(ctx, err))
		}
		if end, err := s.handle(m); end || err != nil {
			return err
		}
	}
}

// handle reports whether the message is the last.
func (s *sweepReader) handle(m message) (end bool, err error) {
	switch m.event {
	case schemas.SweepProgress, schemas.SweepEnd:
		var report schemas.SweepReport
		if err := json.Unmarshal(m.data, &report); err != nil {
			return true, fmt.Errorf("decode event %.40q: %w", m.event, err)
		}
		s.report = report
		if s.progress != nil {
			s.progress(report)
		}
		return m.event == schemas.SweepEnd, nil
	case schemas.SweepProblem:
		p := &schemas.ProblemDocument{}
		if err := json.Unmarshal(m.data, p); err != nil {
			return true, fmt.Errorf("decode event %.40q: %w", m.event, err)
		}
		return true, p
	}
	return false, nil // a newer gateway's
}
