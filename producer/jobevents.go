package producer

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"

	"github.com/program-explorer/pe/schemas"
)

// EventsQuery says which jobs' events are wanted, and from where.
type EventsQuery struct {
	// States and Labels select jobs, as [Filter] does.
	States []schemas.State
	Labels map[string]string
	// Since is the [JobNews.ID] after which to begin; "0" for all jobs that are
	// known. Default: what happens from now on.
	Since string
	// Output asks for stdout and stderr of running jobs, too.
	Output bool
}

// JobNews is one thing that happens to one of the tenant's jobs.
type JobNews struct {
	// Kind is schemas.JobEventsBegin, JobEventsJob, StreamStdout, StreamStderr or
	// JobEventsLost, and says which of the others is set.
	Kind string
	// ID is where to begin again after this.
	ID string
	// Outputs is of how many running jobs at once the output is told, for begin.
	Outputs int
	// Event of a job, for job. After the one with a terminal state only the rest
	// of its output may follow.
	Event schemas.JobChange
	// Data that an attempt of a job wrote, for stdout and stderr, at Offset in bytes.
	// Where it does not begin at the end of the piece before, output was missed: the
	// job's log has it. Job and Attempt alone are of a job whose further output the
	// gateway's object store has lost.
	Job     string
	Attempt int
	Offset  int64
	Data    []byte
}

// Events yields what becomes of all jobs that the query selects, without end. It
// goes on where it was over broken connections and restarting gateways, and
// yields nothing twice; states that were over before they could be told are left out.
// It ends after the first error.
func (c *Client) Events(ctx context.Context, q EventsQuery) iter.Seq2[JobNews, error] {
	return func(yield func(JobNews, error) bool) {
		query := Filter{States: q.States, Labels: q.Labels}.query()
		if q.Output {
			query.Set("output", "1")
		}
		f := jobsFollower{yield: yield, texts: seen[textOf]{}}
		source := eventSource{client: c, get: call{method: http.MethodGet, path: []string{"v1", "events"}, query: query},
			lastID: q.Since, connected: f.connected, handle: f.handle}
		if err := source.run(ctx); err != nil {
			yield(JobNews{}, fmt.Errorf("follow events: %w", err))
		}
	}
}

// jobsFollower is what lasts from one connection to the next.
type jobsFollower struct {
	yield func(JobNews, error) bool
	begun bool
	texts seen[textOf]
}

type textOf struct {
	job     string
	attempt int
	stream  string
}

// maxTexts bounds what is remembered of outputs, far above what one stream tells at once.
const maxTexts = 4096

// connected forgets outputs if they are too many; then some may be yielded twice.
func (f *jobsFollower) connected() {
	if len(f.texts) > maxTexts {
		clear(f.texts)
	}
}

// handle yields one message. Events of a kind that a newer gateway knows are skipped.
func (f *jobsFollower) handle(m message) error {
	n := JobNews{Kind: m.event, ID: m.id}
	var err error
	switch m.event {
	case schemas.JobEventsBegin:
		var begin schemas.JobEventsBeginning
		if err = json.Unmarshal(m.data, &begin); err == nil && f.begun {
			return nil
		}
		f.begun, n.Outputs = true, begin.Outputs
	case schemas.JobEventsJob:
		err = json.Unmarshal(m.data, &n.Event)
	case schemas.StreamStdout, schemas.StreamStderr:
		if err = f.text(m, &n); err == nil && len(n.Data) == 0 {
			return nil
		}
	case schemas.JobEventsLost:
		var lost schemas.JobOutputLost
		err = json.Unmarshal(m.data, &lost)
		n.Job, n.Attempt = lost.Job, lost.Attempt
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("decode event %.40q: %w", m.event, err)
	}
	if !f.yield(n, nil) {
		return errEnd
	}
	return nil
}

// text leaves out what was yielded before.
func (f *jobsFollower) text(m message, n *JobNews) error {
	var text schemas.JobText
	if err := json.Unmarshal(m.data, &text); err != nil {
		return err
	}
	data, err := text.Bytes()
	if err != nil {
		return err
	}
	n.Job, n.Attempt = text.Job, text.Attempt
	n.Data, n.Offset = f.texts.rest(textOf{text.Job, text.Attempt, m.event}, text.Offset, data)
	return nil
}
