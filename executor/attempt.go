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
	// undo lets go of what it holds, last first.
	undo []func()
	// dir holds all its files, if there are any, and is removed with it.
	dir string
	// stop ends it with a reason, *stopped or *schemas.Failure; set before others see the attempt.
	stop context.CancelCauseFunc
	// ended is closed when nothing of it is left on this host.
	ended chan struct{}
}

// stopped is the cause of an attempt that a gateway ended. It is not reported:
// the gateway asked, and knows.
type stopped struct{ reason string }

func (s *stopped) Error() string { return "stopped: " + s.reason }

// newAttempt notes what was granted. The spans queued and claimed end with the
// grant, so they are known now.
func (e *Executor) newAttempt(held schemas.Held, nonce string, grant schemas.Grant, received time.Time) *attempt {
	a := &attempt{held: held, nonce: nonce, grant: grant, ended: make(chan struct{})}
	a.dir = filepath.Join(e.cfg.Dir, "attempts", fmt.Sprintf("%s-%d", held.Job, held.Attempt))
	a.timeline = &timeline{stage: func(name string) { e.live.stage(held, name) }}
	at := received.UnixMicro()
	a.timeline.add(
		// The gateway's clock may be ahead of ours.
		schemas.Span{Name: schemas.SpanQueued, StartUS: min(grant.QueuedUS, at), EndUS: at},
		schemas.Span{Name: schemas.SpanClaimed, StartUS: at, EndUS: time.Now().UnixMicro()})
	return a
}

// open picks the runner, and makes the log spools.
func (a *attempt) open(e *Executor) error {
	a.runner = e.runnerFor(a.grant.Needs)
	if a.runner == nil {
		return fail(schemas.FailInternal, fmt.Errorf("no runner of %s fits the job that it was granted", e.cfg.ID))
	}
	a.stdout, a.stderr = a.newSpool(e, schemas.LiveStdout), a.newSpool(e, schemas.LiveStderr)
	return nil
}

func (a *attempt) newSpool(e *Executor, stream string) *spool {
	return &spool{
		open: func() (*os.File, error) { return a.create(stream) },
		live: func(offset int64, p []byte) { e.live.chunk(a.held, stream, offset, p) },
	}
}

// create makes a file in the attempt's folder, and the folder, if it is the first.
// Most attempts need neither.
func (a *attempt) create(name string) (*os.File, error) {
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make attempt folder: %w", err)
	}
	return os.OpenFile(filepath.Join(a.dir, name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

// spool of a stream; nil if the attempt could not be opened.
func (a *attempt) spool(stream string) *spool {
	if stream == schemas.LiveStderr {
		return a.stderr
	}
	return a.stdout
}

// later adds what letGo does.
func (a *attempt) later(f func()) { a.undo = append(a.undo, f) }

// letGo ends the attempt's machine and what else it holds. It may be called again.
func (a *attempt) letGo() {
	for i := len(a.undo) - 1; i >= 0; i-- {
		a.undo[i]()
	}
	a.undo = nil
}

// close removes everything of the attempt from this host.
func (a *attempt) close() error {
	defer close(a.ended)
	a.letGo()
	var errs []error
	for _, s := range []*spool{a.stdout, a.stderr} {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	if err := errors.Join(append(errs, os.RemoveAll(a.dir))...); err != nil {
		return fmt.Errorf("remove attempt: %w", err)
	}
	return nil
}
