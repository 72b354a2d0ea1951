package executor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// attempt is one try at a job that this executor was granted.
type attempt struct {
	held     schemas.Held
	nonce    string
	grant    schemas.Grant
	spec     schemas.JobSpec
	runner   Runner
	timeline *timeline
	stdout   *spool
	stderr   *spool
	// dir holds all its files and is removed with it.
	dir string
	// stop ends it with a reason; see [stopped].
	stop context.CancelCauseFunc
	// ended is closed when nothing of it is left on this host.
	ended chan struct{}
}

// stopped is the cause of a cancelled attempt.
type stopped struct {
	reason string
	// silent attempts are not reported: the gateway asked, and knows.
	silent bool
}

func (s *stopped) Error() string { return s.reason }

// openAttempt makes the attempt's folder and log spools. The spans queued and
// claimed end with the grant, so they are known now.
func (e *Executor) openAttempt(held schemas.Held, nonce string, grant schemas.Grant, received time.Time) (*attempt, error) {
	a := &attempt{held: held, nonce: nonce, grant: grant, ended: make(chan struct{})}
	a.runner = e.runnerFor(grant.Needs)
	if a.runner == nil {
		return nil, fmt.Errorf("no runner for %+v", grant.Needs)
	}
	a.timeline = &timeline{stage: func(name string) { e.live.stage(held, name) }}
	a.timeline.addSpans(schemas.Span{Name: schemas.SpanQueued, StartUS: grant.QueuedUS, EndUS: received.UnixMicro()})
	a.timeline.add(schemas.SpanClaimed, received, time.Now())
	a.dir = filepath.Join(e.cfg.Dir, "attempts", fmt.Sprintf("%s-%d", held.Job, held.Attempt))
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make attempt folder: %w", err)
	}
	if err := a.openSpools(e); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *attempt) openSpools(e *Executor) (err error) {
	out := func(offset int64, p []byte) { e.live.chunk(a.held, schemas.LiveStdout, offset, p) }
	if a.stdout, err = newSpool(filepath.Join(a.dir, "stdout"), out); err != nil {
		return err
	}
	errs := func(offset int64, p []byte) { e.live.chunk(a.held, schemas.LiveStderr, offset, p) }
	a.stderr, err = newSpool(filepath.Join(a.dir, "stderr"), errs)
	return err
}

// close removes everything of the attempt from this host.
func (a *attempt) close() error {
	defer close(a.ended)
	for _, s := range []*spool{a.stdout, a.stderr} {
		if s != nil {
			s.close()
		}
	}
	return os.RemoveAll(a.dir)
}
