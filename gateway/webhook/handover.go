package webhook

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/internal/jobqueue"
)

const (
	// handOverWithin is real time. What is not handed over by then is waited for, as
	// if this gateway had died.
	handOverWithin = 5 * time.Second
	handOverAtOnce = 16
)

// handOver lets any other gateway send at once what this one was to send soon; it is
// called when nothing is sent any more.
func (o *Outbox) handOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOverWithin)
	defer cancel()
	now := o.clock.Now()
	held := o.book.heldUntilAfter(now, now.Add(o.cfg.Timeout+lease))
	var group errgroup.Group
	group.SetLimit(handOverAtOnce)
	for _, h := range held {
		group.Go(func() error {
			h.delivery.Holder, h.delivery.UntilUS = "", 0
			if _, err := o.write(ctx, h.delivery, h.rev); err != nil && !errors.Is(err, jobqueue.ErrConflict) {
				o.log.Debug("delivery not handed over", "delivery", h.delivery.Delivery.ID, "err", err)
			}
			return nil
		})
		if ctx.Err() != nil {
			break
		}
	}
	_ = group.Wait() // none fails
}

type heldDelivery struct {
	delivery delivery
	rev      uint64
}

// heldUntilAfter lists what this gateway alone may send after now, and is due before soon.
func (b *book) heldUntilAfter(now, soon time.Time) (held []heldDelivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, it := range b.items {
		if d := it.d; d != nil && d.Holder == b.me && d.UntilUS > now.UnixMicro() && d.Delivery.NextUS < soon.UnixMicro() {
			held = append(held, heldDelivery{*d, it.rev})
		}
	}
	return held
}
