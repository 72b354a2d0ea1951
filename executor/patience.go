package executor

import (
	"context"
	"errors"
	"time"
)

// patience is how often something is tried, and the first pause between two
// tries; each later pause is twice as long.
type patience struct {
	tries int
	pause time.Duration
}

// errFinal marks a failure that another try would only repeat.
var errFinal = errors.New("not tried again")

// final is err, marked so that it reads as before.
func final(err error) error { return &finalError{err} }

type finalError struct{ error }

func (f *finalError) Unwrap() []error { return []error{f.error, errFinal} }

// retry calls try until it succeeds, fails for good, or patience or ctx ends.
func (p patience) retry(ctx context.Context, try func() error) error {
	pause := p.pause
	for n := 1; ; n++ {
		err := try()
		if err == nil || n >= p.tries || errors.Is(err, errFinal) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
			pause *= 2
		}
	}
}
