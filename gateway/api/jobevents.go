package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// revision is how far a reader of a tenant's events has come. It travels as the id of every event.
type revision uint64

func (r revision) String() string { return strconv.FormatUint(uint64(r), 10) }

// maxRevision bounds what a client may send back: above it the queue's own arithmetic would overflow.
const maxRevision = 1 << 62

// jobEvents sends what becomes of all of the tenant's jobs as server-sent
// events: from now on, or from after the change that Last-Event-ID or ?since= names.
func (a *API) jobEvents(w http.ResponseWriter, r *http.Request, tenant string) error {
	query, err := eventQuery(r)
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		newEventStream(w, a.StallTimeout)
		return nil
	}
	done, err := a.streams.begin(w.Header(), tenant)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	updates, err := a.Jobs.Events(ctx, tenant, query)
	if err != nil {
		return err
	}
	f := &jobsFollower{api: a, stream: newEventStream(w, a.StallTimeout), outputs: query.Outputs}
	return f.run(ctx, updates, a.Heartbeat)
}

// eventQuery reads label=, state=, since= and output=, and Last-Event-ID, which
// a browser sends again with the address that it began with.
func eventQuery(r *http.Request) (q coordinator.EventQuery, err error) {
	values := r.URL.Query()
	if q.Filter, err = filterOf(values); err != nil {
		return q, err
	}
	if q.Outputs, err = switchOf(values, "output"); err != nil {
		return q, err
	}
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		id = values.Get("since")
	}
	if id == "" {
		q.Now = true
		return q, nil
	}
	if q.After, err = strconv.ParseUint(id, 10, 64); err != nil || q.After > maxRevision || revision(q.After).String() != id {
		return q, kindMalformed.problemf("event id %.40q: want the id of an event of this stream, or 0", id)
	}
	return q, nil
}

// switchOf reads a parameter that is 1 or 0; without it, it is 0.
func switchOf(values url.Values, name string) (bool, error) {
	switch text := values.Get(name); text {
	case "", "0":
		return false, nil
	case "1":
		return true, nil
	default:
		return false, kindMalformed.problemf("%s=%.40q: want 1 or 0", name, text)
	}
}

// jobsFollower is one client that reads a tenant's events.
type jobsFollower struct {
	api     *API
	stream  *eventStream
	outputs bool
	at      revision
	begun   bool
}

// run sends updates until the client leaves or this gateway drains: the stream
// has no end of its own, and its client resumes.
func (f *jobsFollower) run(ctx context.Context, updates <-chan coordinator.JobUpdate, every time.Duration) error {
	beat := time.NewTicker(every)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.api.draining:
			return f.stream.flush()
		case <-beat.C:
			f.stream.reached(f.at)
			if err := f.stream.comment(); err != nil {
				return err
			}
		case u, ok := <-updates:
			if !ok {
				return errStreamEnded
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

func (f *jobsFollower) update(u coordinator.JobUpdate) error {
	f.at = max(f.at, revision(u.Revision))
	if !f.begun {
		f.begun = true
		begin := schemas.JobEventsBeginning{}
		if f.outputs {
			begin.Outputs = coordinator.MaxOutputs
		}
		if err := f.stream.event(schemas.JobEventsBegin, f.at, begin); err != nil {
			return err
		}
	}
	switch {
	case u.Job != nil:
		return f.stream.event(schemas.JobEventsJob, f.at, u.Job)
	case u.Text != nil:
		return f.stream.event(u.Stream, f.at, u.Text)
	case u.Lost != nil:
		return f.stream.event(schemas.JobEventsLost, f.at, u.Lost)
	}
	return nil
}
