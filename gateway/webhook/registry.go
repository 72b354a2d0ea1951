package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Errors that callers branch on.
var (
	// ErrNotFound: the tenant has no such webhook or delivery.
	ErrNotFound = errors.New("no such webhook or delivery")
	// ErrTooMany: the tenant has as many webhooks as it may have.
	ErrTooMany = fmt.Errorf("%d webhooks are registered, and no more may be", schemas.MaxWebhooks)
	// ErrFull: as many of the tenant's deliveries are on their way as may be.
	ErrFull = errors.New("too many deliveries are on their way already")
	// ErrDisabled: nothing is sent to a webhook that is not enabled.
	ErrDisabled = errors.New("the webhook is disabled")
	// errContended: others wrote the entry again and again.
	errContended = errors.New("entry is written by too many at once")
)

// registry is what a gateway knows of all webhooks, derived from the bucket. It
// is small: [schemas.MaxWebhooks] for each tenant.
type registry struct {
	bucket *jobqueue.Bucket

	mu      sync.Mutex
	tenants map[string]map[string]known
	// seen is the newest revision that the watch has told of; further is closed, and made
	// anew, when that rises.
	seen    uint64
	further chan struct{}
	// changed is told of a webhook whose deliveries may do better now.
	changed func(tenant, id string)
}

type known struct {
	endpoint
	rev uint64
}

func newRegistry(b *jobqueue.Bucket, changed func(tenant, id string)) *registry {
	return &registry{bucket: b, tenants: map[string]map[string]known{}, further: make(chan struct{}), changed: changed}
}

// learn takes note of a webhook, unless it is not newer than what is known, or was
// deleted since it was read.
func (r *registry) learn(e endpoint, rev uint64) {
	r.mu.Lock()
	all := r.tenants[e.Tenant]
	if all == nil {
		all = map[string]known{}
		r.tenants[e.Tenant] = all
	}
	before, there := all[e.Webhook.ID]
	if there && before.rev >= rev || !there && rev <= r.seen {
		r.mu.Unlock()
		return
	}
	all[e.Webhook.ID] = known{e, rev}
	r.mu.Unlock()
	if there && (before.Webhook.URL != e.Webhook.URL || before.Webhook.Enabled != e.Webhook.Enabled) {
		r.changed(e.Tenant, e.Webhook.ID)
	}
}

func (r *registry) forget(key string, rev uint64) {
	tenant, id, _ := strings.Cut(key, ".")
	if id == callbackTarget {
		id = ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if all := r.tenants[tenant]; all != nil && all[id].rev < rev {
		delete(all, id)
	}
}

// saw takes note of how far the watch has told.
func (r *registry) saw(rev uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rev > r.seen {
		r.seen = rev
		close(r.further)
		r.further = make(chan struct{})
	}
}

// await waits until the watch has told of a revision that it will tell of, or ctx ends.
func (r *registry) await(ctx context.Context, rev uint64) error {
	for {
		r.mu.Lock()
		seen, further := r.seen, r.further
		r.mu.Unlock()
		if seen >= rev {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("webhooks are not all known yet: %w", ctx.Err())
		case <-further:
		}
	}
}

// lookup gives what is known of a webhook; an empty id is the tenant's callbacks.
func (r *registry) lookup(tenant, id string) (endpoint, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.tenants[tenant][id]
	return k.endpoint, ok
}

// of lists a tenant's webhooks, the oldest first.
func (r *registry) of(tenant string) []endpoint {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []endpoint
	for _, k := range r.tenants[tenant] {
		if k.Webhook.ID != "" {
			list = append(list, k.endpoint)
		}
	}
	slices.SortFunc(list, func(a, b endpoint) int { return cmp.Compare(a.Webhook.ID, b.Webhook.ID) })
	return list
}

// targets are whom an end is told to: ids of webhooks, and "" for its callback.
func (r *registry) targets(end *ending) []string {
	var ids []string
	if end.callback != "" {
		ids = append(ids, "")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(r.tenants[end.tenant])) {
		if k := r.tenants[end.tenant][id]; id != "" && k.wants(end) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (r *registry) create(ctx context.Context, e endpoint) (rev uint64, err error) {
	data, err := encode(e)
	if err != nil {
		return 0, fmt.Errorf("encode webhook %s: %w", e.Webhook.ID, err)
	}
	rev, err = r.bucket.Create(ctx, e.key(), data)
	if err == nil {
		r.learn(e, rev)
	}
	return rev, err
}

func (r *registry) read(ctx context.Context, tenant, id string) (endpoint, uint64, error) {
	key := endpointKey(tenant, id)
	entry, err := r.bucket.Get(ctx, key)
	if errors.Is(err, jobqueue.ErrNotFound) {
		return endpoint{}, 0, fmt.Errorf("webhook %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return endpoint{}, 0, err
	}
	e, err := decodeEndpoint(key, entry.Value)
	return e, entry.Revision, err
}

const maxTries = 20

// change writes what step makes of a webhook as it is now, unless step says that there is nothing to write.
func (r *registry) change(ctx context.Context, tenant, id string, step func(*endpoint) bool) (endpoint, error) {
	for range maxTries {
		e, rev, err := r.read(ctx, tenant, id)
		if err != nil || !step(&e) {
			return e, err
		}
		data, err := encode(e)
		if err != nil {
			return e, fmt.Errorf("encode webhook %s: %w", id, err)
		}
		rev, err = r.bucket.Update(ctx, e.key(), data, rev)
		if err == nil {
			r.learn(e, rev)
			return e, nil
		}
		if !errors.Is(err, jobqueue.ErrConflict) {
			return e, err
		}
	}
	return endpoint{}, fmt.Errorf("change webhook %s: %w", id, errContended)
}

func (r *registry) remove(ctx context.Context, tenant, id string) error {
	key := endpointKey(tenant, id)
	for range maxTries {
		_, rev, err := r.read(ctx, tenant, id)
		if err != nil {
			return err
		}
		marker, err := r.bucket.Retire(ctx, key, rev)
		if err == nil {
			r.forget(key, marker)
		}
		if !errors.Is(err, jobqueue.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("remove webhook %s: %w", id, errContended)
}
