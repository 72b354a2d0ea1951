package jobqueue

import (
	"fmt"

	"github.com/program-explorer/pe/schemas"
)

// LiveName is what the subject of a live message says.
type LiveName struct {
	Executor string
	Job      string
	Attempt  int
	Kind     string
}

// Live is a message about something that happens now.
type Live struct {
	LiveName
	Body []byte
}

// PublishLive sends what happens in an attempt to whoever listens now. It never
// waits for them; body is a [schemas.Stage] or a [schemas.LogChunk].
func (q *Queue) PublishLive(n LiveName, body any) error {
	data, err := encode(body, schemas.MaxControlBytes)
	if err == nil {
		err = q.nc.Publish(schemas.LiveSubject(n.Executor, n.Job, n.Attempt, n.Kind), data)
	}
	if err != nil {
		return fmt.Errorf("send live %s of job %s: %w", n.Kind, n.Job, err)
	}
	return nil
}
