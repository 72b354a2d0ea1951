package webhook

import (
	"net/http"
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// TestDeadReceiversHinderNobody: a webhook and a host of callbacks fail for days, and more
// jobs end than may be on their way. Others are told of all ends at once, and the two
// are told of all, too, when they are back.
func TestDeadReceiversHinderNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fails := status(http.StatusInternalServerError)
	dead, deadHost, well, wellHost := w.receiver(fails), w.receiver(fails), w.receiver(nil), w.receiver(nil)
	b := w.box(func(c *Config) { c.MaxPending, c.MaxBacklog = 64, 32 })
	w.hook(b, schemas.WebhookSpec{URL: dead.URL})
	w.hook(b, schemas.WebhookSpec{URL: well.URL})
	const jobs = 60
	for i := range jobs {
		rec, rev := w.written(b, func(rec *schemas.Record) {
			if rec.Callback = deadHost.URL; i%2 == 0 {
				rec.Callback = wellHost.URL
			}
		})
		b.Outbox.Ended(rec, rev, true)
	}
	w.allTold(well, jobs)
	w.allTold(wellHost, jobs/2)
	dead.answers(nil)
	deadHost.answers(nil)
	w.clock.advance(disableAfter - time.Hour)
	w.allTold(dead, jobs)
	w.allTold(deadHost, jobs/2)
	w.inTime("nothing is left", func() bool { n, _ := b.book.onTheirWay(); return n == 0 && b.idle() })
	if n := len(well.told()); n != jobs || len(well.requests()) != jobs {
		t.Errorf("the one that is well was told %d times of %d ends", len(well.requests()), n)
	}
}
