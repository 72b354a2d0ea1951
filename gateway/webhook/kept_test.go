package webhook

import (
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// TestKeptIsBounded: deliveries that have ended count, too. More ends wait until the
// oldest go by age, and are told then.
func TestKeptIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(nil)
	const most = 10
	b := w.box(func(c *Config) { c.MaxPending, c.MaxKept = 64, most })
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	first, rev := w.written(b, nil)
	b.Outbox.Ended(first, rev, true)
	w.settled(b, first, hook.ID, 1)
	w.clock.advance(3 * 24 * time.Hour)
	const jobs = most + 5
	for range jobs - 1 {
		rec, rev := w.written(b, nil)
		b.Outbox.Ended(rec, rev, true)
	}
	w.allTold(r, most)
	if _, err := b.Test(t.Context(), tenant, hook.ID); err != nil || len(r.requests()) != most+1 {
		t.Errorf("%d requests, %v", len(r.requests()), err)
	}
	page, err := b.Deliveries(t.Context(), tenant, Filter{}, "", 100)
	if err != nil || len(page.Deliveries) > most {
		t.Errorf("%d deliveries, %v", len(page.Deliveries), err)
	}
	w.clock.advance(jobqueue.DeliveryAge - 3*24*time.Hour + time.Minute)
	w.eventually("the oldest is forgotten", func() bool {
		return !b.book.knows(schemas.RecordKey(tenant, notice{jobEnding(&first, rev), hook.ID}.id()))
	})
	w.allTold(r, most+2)
}

// TestTestsAreForgottenSoon, also by a gateway that starts later.
func TestTestsAreForgottenSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(nil)
	b := w.box(nil)
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	if _, err := b.Test(t.Context(), tenant, hook.ID); err != nil {
		t.Fatal(err)
	}
	rec, rev := w.written(b, nil)
	b.Outbox.Ended(rec, rev, true)
	w.settled(b, rec, hook.ID, 1)
	w.clock.advance(testAge / 2)
	later := w.box(nil)
	for _, one := range []*box{b, later} {
		w.eventually("both are known", func() bool { return one.known(tenant) == 2 })
	}
	w.clock.advance(testAge/2 + time.Minute)
	for _, one := range []*box{b, later} {
		one.book.expire(w.clock.Now())
		if n := one.known(tenant); n != 1 {
			t.Errorf("%d deliveries are known", n)
		}
	}
}

// known is how many deliveries of a tenant are in the index.
func (b *box) known(tenant string) int {
	b.book.mu.Lock()
	defer b.book.mu.Unlock()
	return len(b.book.ledger(tenant).ordered)
}
