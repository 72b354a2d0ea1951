package imagesync

import (
	"context"
	"sync/atomic"
)

// Progress is how far a pull is. Total is the size of the compressed layers.
type Progress struct{ Done, Total int64 }

type progressKey struct{}

// WithProgress makes Cache.Get call report, from any goroutine but never two at
// once, while it pulls. Someone who waits for another's pull is told of that one.
func WithProgress(ctx context.Context, report func(Progress)) context.Context {
	return context.WithValue(ctx, progressKey{}, report)
}

// progressCounter is one pull's progress, written by its layers.
type progressCounter struct{ done, total atomic.Int64 }

func (p *progressCounter) add(n int64) { p.done.Add(n) }

func (p *progressCounter) read() Progress {
	return Progress{Done: p.done.Load(), Total: p.total.Load()}
}

// reporter passes on a counter when it has moved by a hundredth.
type reporter struct {
	report func(Progress)
	last   Progress
}

func newReporter(ctx context.Context) *reporter {
	report, _ := ctx.Value(progressKey{}).(func(Progress))
	return &reporter{report: report}
}

func (r *reporter) tell(p Progress) {
	if r.report == nil || p == r.last || p.Total == r.last.Total && p.Done < p.Total && p.Done-r.last.Done < p.Total/100 {
		return
	}
	r.last = p
	r.report(p)
}
