package executor

import (
	"context"
	"errors"
	"time"
)

// patience is how often something is tried, and the first pause between two
// tries; each later pause is twice as long.
type patience struct {
	// tries at most; 0: as many as there is time for.
	tries int
	pause time.Duration
	// most bounds a pause, within all tries together; 0: nothing does.
	most, within time.Duration
}

// errFinal marks a failure that another try would only repeat.
var errFinal = errors.New("not tried again")

// final is err, marked so that it reads as before.
func final(err error) error { return &finalError{err} }

type finalError struct{ error }

func (f *finalError) Unwrap() []error { return []error{f.error, errFinal} }

// retry calls try until it succeeds, fails for good, or patience or ctx ends.
func (p patience) retry(ctx context.Context, try func() error) error {
	pause, begin := p.pause, time.Now()
	for n := 1; ; n++ {
		err := try()
		if err == nil || errors.Is(err, errFinal) || p.over(n, time.Since(begin)+pause) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
			if pause *= 2; p.most > 0 {
				pause = min(pause, p.most)
			}
		}
	}
}

// over says, after n tries, that there is none at that time.
func (p patience) over(n int, next time.Duration) bool {
	return p.tries > 0 && n >= p.tries || p.within > 0 && next > p.within
}
