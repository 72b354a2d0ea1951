package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// logs answers with what the job writes: as plain text what there is of one
// stream, or as events all of it as it comes.
func (a *API) logs(w http.ResponseWriter, r *http.Request, tenant string) error {
	record, err := a.record(r, tenant)
	if err != nil {
		return err
	}
	if wantsEvents(r) && r.Method != http.MethodHead {
		return a.follow(w, r, record)
	}
	stream := r.URL.Query().Get("stream")
	switch stream {
	case "":
		stream = schemas.LiveStdout
	case schemas.LiveStdout, schemas.LiveStderr:
	default:
		return kindMalformed.problemf("stream=%.40q: want stdout or stderr", stream)
	}
	return a.plainLog(w, r, record, stream)
}

func wantsEvents(r *http.Request) bool {
	switch r.URL.Query().Get("follow") {
	case "1", "true":
		return true
	}
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// plainLog sends what there is of one stream now.
func (a *API) plainLog(w http.ResponseWriter, r *http.Request, record schemas.Record, stream string) error {
	markHostile(w.Header(), record.ID+"-"+stream+".txt", "text/plain; charset=utf-8")
	// Without its disposition a browser shows the text; the sandbox keeps it text.
	w.Header().Del("Content-Disposition")
	out := newSteadyWriter(w, a.StallTimeout)
	if !record.State.Terminal() {
		return a.copyLive(r.Context(), out, record, stream)
	}
	log, err := a.openLog(r.Context(), w.Header(), record, stream)
	if err != nil {
		return a.surely(r.Context(), record, err)
	}
	defer log.Close()
	return a.surely(r.Context(), record, copyOut(out, r, log))
}

// copyOut sends everything. A source that fails must not look like an end, and
// a client that left is no failure of ours.
func copyOut(w http.ResponseWriter, r *http.Request, from io.Reader) error {
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := io.Copy(struct{ io.Writer }{w}, from)
	if err != nil && r.Context().Err() != nil {
		return r.Context().Err()
	}
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// copyLive sends what the running attempt has written so far, as much as is kept
// of a stream: an executor must not be able to send without end.
func (a *API) copyLive(ctx context.Context, w http.ResponseWriter, record schemas.Record, stream string) error {
	if record.Current() == nil {
		return nil
	}
	for offset := int64(0); offset < schemas.StdioLog; {
		piece, err := a.Jobs.Logs(ctx, record, stream, offset)
		if err != nil {
			return fmt.Errorf("ask for the log of %s: %w", record.ID, err)
		}
		if len(piece.Data) == 0 {
			return nil
		}
		if _, err := w.Write(piece.Data); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		if offset += int64(len(piece.Data)); offset >= piece.End {
			return nil
		}
	}
	return nil
}

// follow sends the job's life as server-sent events, from the beginning or from
// where Last-Event-ID says the client was, until the job has ended.
func (a *API) follow(w http.ResponseWriter, r *http.Request, record schemas.Record) error {
	var from position
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		var err error
		if from, err = parsePosition(id); err != nil {
			return kindMalformed.problem(err.Error(), "send back the id of the last event as it was, or none")
		}
	}
	done, err := a.streams.begin(w.Header(), record.Tenant)
	if err != nil {
		return err
	}
	defer done()
	// Ends the coordinator's part, too, when the client is dropped.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	updates, err := a.Jobs.Follow(ctx, record.Tenant, record.ID, coordinator.Offsets(from))
	if err != nil {
		return fmt.Errorf("follow job %s: %w", record.ID, err)
	}
	f := &follower{api: a, stream: newEventStream(w, a.StallTimeout), at: from}
	return f.run(ctx, updates, a.Heartbeat)
}
