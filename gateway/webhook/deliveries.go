package webhook

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Filter selects deliveries; an empty field selects all.
type Filter struct {
	// Webhook is an id.
	Webhook string
	// State is one of [schemas.DeliveryStates].
	State string
}

var (
	// ErrCursor: the cursor of a list is none that a list gave.
	ErrCursor = errors.New("not a cursor of this list")
	// ErrLoading: deliveries are still being read from the queue.
	ErrLoading = errors.New("deliveries are still being read from the queue")
)

const (
	maxPage   = 500
	maxScan   = 10_000 // deliveries looked at for a page, with all others waiting
	pageReads = 16
)

// Deliveries gives a page of a tenant's deliveries, the newest first: up to
// limit after the cursor. A page before the last may be short. [ErrCursor] or [ErrLoading].
func (o *Outbox) Deliveries(ctx context.Context, tenant string, f Filter, after string, limit int) (schemas.DeliveryList, error) {
	keys, cursor, err := o.book.page(tenant, f, after, min(max(limit, 1), maxPage))
	if err != nil {
		return schemas.DeliveryList{}, err
	}
	page := make([]schemas.Delivery, len(keys))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(pageReads)
	for i, key := range keys {
		group.Go(func() error {
			d, _, err := o.read(gctx, key)
			if errors.Is(err, ErrNotFound) {
				return nil // gone by age
			}
			page[i] = d.Delivery
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return schemas.DeliveryList{}, fmt.Errorf("list deliveries: %w", err)
	}
	page = slices.DeleteFunc(page, func(d schemas.Delivery) bool { return d.ID == "" })
	return schemas.DeliveryList{Deliveries: page, Next: cursor}, nil
}

func (b *book) page(tenant string, f Filter, after string, limit int) (keys []string, next string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.loaded {
		return nil, "", ErrLoading
	}
	all := b.ledger(tenant).ordered
	end := len(all)
	if after != "" {
		from, err := parseCursor(after)
		if err != nil {
			return nil, "", err
		}
		end, _ = slices.BinarySearchFunc(all, from, byCreation)
	}
	for i := end - 1; i >= 0; i-- {
		it := all[i]
		switch {
		case end-1-i == maxScan:
			return keys, cursor(all[i+1]), nil
		case f.Webhook != "" && it.webhook != f.Webhook, f.State != "" && it.state != f.State:
			continue
		case len(keys) == limit:
			return keys, next, nil
		}
		keys, next = append(keys, it.key), cursor(it)
	}
	return keys, "", nil
}

func cursor(it *item) string { return strconv.FormatInt(it.created, 10) + "." + it.id }

func parseCursor(s string) (*item, error) {
	created, id, ok := strings.Cut(s, ".")
	at, err := strconv.ParseInt(created, 10, 64)
	if !ok || err != nil || !schemas.ValidDeliveryID(id) {
		return nil, ErrCursor
	}
	return &item{created: at, id: id}, nil
}

func (o *Outbox) read(ctx context.Context, key string) (delivery, uint64, error) {
	e, err := o.cfg.Queue.Deliveries.Get(ctx, key)
	if errors.Is(err, jobqueue.ErrNotFound) {
		return delivery{}, 0, ErrNotFound
	}
	if err != nil {
		return delivery{}, 0, err
	}
	d, err := decodeDelivery(key, e.Value)
	return d, e.Revision, err
}

// Replay sends a delivery again, under the same id and with the whole schedule
// before it; [ErrNotFound], [ErrFull], or [ErrDisabled] if its webhook is not there to be sent to.
func (o *Outbox) Replay(ctx context.Context, tenant, id string) (schemas.Delivery, error) {
	if !schemas.ValidDeliveryID(id) {
		return schemas.Delivery{}, ErrNotFound
	}
	for range maxTries {
		d, rev, err := o.read(ctx, schemas.RecordKey(tenant, id))
		if err != nil {
			return d.Delivery, err
		}
		switch _, _, why, err := o.target(ctx, &d); {
		case err != nil:
			return d.Delivery, err
		case why != "":
			return d.Delivery, fmt.Errorf("%w: %s", ErrDisabled, why)
		}
		if d.Delivery.State != schemas.DeliveryPending && !o.book.room(d.receiver()) {
			return d.Delivery, ErrFull
		}
		now := o.clock.Now()
		d.Delivery.Attempts, d.Delivery.Reason, d.RoundUS = 0, "", now.UnixMicro()
		d.schedule(o.id, now, o.cfg.Timeout)
		if _, err = o.write(ctx, d, rev); !errors.Is(err, jobqueue.ErrConflict) {
			return d.Delivery, err
		}
	}
	return schemas.Delivery{}, fmt.Errorf("replay %s: %w", id, errContended)
}

// Test sends a webhook one event of its own kind, once and now, whether it is
// enabled or not, and tells what became of it; it is listed for an hour, if there is room. [ErrNotFound].
func (o *Outbox) Test(ctx context.Context, tenant, id string) (schemas.Delivery, error) {
	if !schemas.ValidWebhookID(id) {
		return schemas.Delivery{}, ErrNotFound
	}
	e, _, err := o.registry.read(ctx, tenant, id)
	if err != nil {
		return schemas.Delivery{}, err
	}
	release, err := o.slots.Take(ctx, tenant)
	if err != nil {
		return schemas.Delivery{}, err
	}
	defer release()
	d := testDelivery(&e, o.clock.Now())
	a, err := o.post(ctx, &d.Delivery, e.Webhook.URL, e.Secrets)
	if err != nil {
		return d.Delivery, err
	}
	d.Delivery.Attempts, d.Delivery.Last = 1, &a.DeliveryAttempt
	d.end(schemas.DeliveryFailed, "a test is sent once")
	if a.delivered() {
		d.end(schemas.DeliveryDelivered, "")
	}
	if o.book.reserve(d.receiver()) { // or else this answer is all
		err = o.store(ctx, d)
		o.book.release(d.receiver())
	}
	return d.Delivery, errors.Join(err, o.health(ctx, &d, a))
}

func testDelivery(e *endpoint, now time.Time) delivery {
	var random [16]byte
	rand.Read(random[:]) // never fails
	return delivery{Version: entryVersion, Tenant: e.Tenant, RoundUS: now.UnixMicro(), Delivery: schemas.Delivery{
		ID: schemas.DeliveryID(random), Webhook: e.Webhook.ID, URL: e.Webhook.URL, Event: schemas.EventWebhookTest, CreatedUS: now.UnixMicro(),
		Payload: schemas.WebhookEvent{Type: schemas.EventWebhookTest, Timestamp: timestamp(now), Data: schemas.WebhookData{ID: e.Webhook.ID}},
	}}
}
