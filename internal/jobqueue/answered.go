package jobqueue

import (
	"context"
	"errors"
	"time"
)

// answerTimeout is how long one try waits for an answer. In a cluster a leader that
// steps down answers none of those whom it had heard.
const answerTimeout = 2 * time.Second

// answered calls do, which must be safe to repeat, until there is an answer or
// ctx ends; [requestTimeout] bounds it if ctx has no deadline.
func answered(ctx context.Context, do func(ctx context.Context, again bool) error) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, requestTimeout)
		defer cancel()
	}
	for again := false; ; again = true {
		try, stop := context.WithTimeout(ctx, answerTimeout)
		err := do(try, again)
		stop()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
	}
}
