package webhook

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Create registers a webhook. The answer alone holds its secret. [ErrAddress] or [ErrTooMany].
func (o *Outbox) Create(ctx context.Context, tenant string, s schemas.WebhookSpec) (schemas.Webhook, error) {
	if err := o.CheckURL(s.URL); err != nil {
		return schemas.Webhook{}, err
	}
	done, err := o.creating.Take(ctx, tenant)
	if err != nil {
		return schemas.Webhook{}, err
	}
	defer done()
	if len(o.registry.of(tenant)) >= schemas.MaxWebhooks {
		return schemas.Webhook{}, ErrTooMany
	}
	now := o.clock.Now()
	id, err := schemas.NewWebhookID(now, rand.Reader)
	if err != nil {
		return schemas.Webhook{}, err
	}
	key := newSecret()
	if s.Secret != "" {
		key.Key = s.Secret
	}
	e := endpoint{Version: entryVersion, Tenant: tenant, Secrets: secrets{key}, Webhook: schemas.Webhook{
		ID: id, URL: s.URL, Events: eventsOf(s.Events), Labels: s.Labels, Enabled: true,
		CreatedUS: now.UnixMicro(), SinceUS: now.UnixMicro(),
	}}
	if err := o.createWithin(ctx, e); err != nil {
		return schemas.Webhook{}, err
	}
	w := e.view(now)
	w.Secret = key.Key
	return w, nil
}

// createWithin writes a webhook, and takes it back if another gateway has made the
// last one meanwhile; of two that did so at once both may be. Whoever knows of its own
// write from the watch knows of all that came before, and need not read the bucket, where
// those that are gone leave markers.
func (o *Outbox) createWithin(ctx context.Context, e endpoint) error {
	rev, err := o.registry.create(ctx, e)
	if err != nil {
		return err
	}
	err = o.registry.await(ctx, rev)
	if err == nil && len(o.registry.of(e.Tenant)) <= schemas.MaxWebhooks {
		return nil
	}
	return errors.Join(cmp.Or(err, ErrTooMany), o.registry.remove(context.WithoutCancel(ctx), e.Tenant, e.Webhook.ID))
}

// List gives a tenant's webhooks, the oldest first.
func (o *Outbox) List(tenant string) []schemas.Webhook {
	var list []schemas.Webhook
	for _, e := range o.registry.of(tenant) {
		list = append(list, e.view(o.clock.Now()))
	}
	return list
}

// Get gives one webhook; [ErrNotFound].
func (o *Outbox) Get(ctx context.Context, tenant, id string) (schemas.Webhook, error) {
	if !schemas.ValidWebhookID(id) {
		return schemas.Webhook{}, ErrNotFound
	}
	e, _, err := o.registry.read(ctx, tenant, id)
	return e.view(o.clock.Now()), err
}

// Update changes a webhook; [ErrNotFound] or [ErrAddress].
func (o *Outbox) Update(ctx context.Context, tenant, id string, p schemas.WebhookPatch) (schemas.Webhook, error) {
	if !schemas.ValidWebhookID(id) {
		return schemas.Webhook{}, ErrNotFound
	}
	if p.URL != nil {
		if err := o.CheckURL(*p.URL); err != nil {
			return schemas.Webhook{}, err
		}
	}
	e, err := o.registry.change(ctx, tenant, id, func(e *endpoint) bool {
		e.apply(p, o.clock.Now())
		return true
	})
	return e.view(o.clock.Now()), err
}

// Delete removes a webhook; [ErrNotFound]. What is on its way to it fails when it is due.
func (o *Outbox) Delete(ctx context.Context, tenant, id string) error {
	if !schemas.ValidWebhookID(id) {
		return ErrNotFound
	}
	return o.registry.remove(ctx, tenant, id)
}

// Rotate gives a webhook a new secret, which the answer alone holds. The ones
// before sign beside it for the overlap.
func (o *Outbox) Rotate(ctx context.Context, tenant, id string, overlap time.Duration) (schemas.Webhook, error) {
	if !schemas.ValidWebhookID(id) {
		return schemas.Webhook{}, ErrNotFound
	}
	key := newSecret()
	e, err := o.registry.change(ctx, tenant, id, func(e *endpoint) bool {
		e.Secrets = e.Secrets.rotated(o.clock.Now(), key, overlap)
		return true
	})
	w := e.view(o.clock.Now())
	w.Secret = key.Key
	return w, err
}

// CallbackSecret is what a tenant's callbacks are signed with; it is made when it is first asked for.
func (o *Outbox) CallbackSecret(ctx context.Context, tenant string) (schemas.CallbackSecret, error) {
	e, err := o.callbacks(ctx, tenant)
	return callbackSecret(e, o.clock.Now()), err
}

// RotateCallbackSecret replaces it as [Outbox.Rotate] does a webhook's.
func (o *Outbox) RotateCallbackSecret(ctx context.Context, tenant string, overlap time.Duration) (schemas.CallbackSecret, error) {
	if _, err := o.callbacks(ctx, tenant); err != nil {
		return schemas.CallbackSecret{}, err
	}
	key := newSecret()
	e, err := o.registry.change(ctx, tenant, "", func(e *endpoint) bool {
		e.Secrets = e.Secrets.rotated(o.clock.Now(), key, overlap)
		return true
	})
	return callbackSecret(e, o.clock.Now()), err
}

func callbackSecret(e endpoint, now time.Time) schemas.CallbackSecret {
	valid := e.Secrets.at(now)
	if len(valid) == 0 {
		return schemas.CallbackSecret{}
	}
	return schemas.CallbackSecret{Secret: valid[0].Key, Secrets: len(valid)}
}

// callbacks are the secrets of a tenant's callbacks. Of two gateways that make
// them at once, one does.
func (o *Outbox) callbacks(ctx context.Context, tenant string) (endpoint, error) {
	if !schemas.ValidToken(tenant) {
		return endpoint{}, fmt.Errorf("callbacks: tenant %.80q", tenant)
	}
	e, _, err := o.registry.read(ctx, tenant, "")
	if !errors.Is(err, ErrNotFound) {
		return e, err
	}
	e = endpoint{Version: entryVersion, Tenant: tenant, Secrets: secrets{newSecret()}}
	if _, err := o.registry.create(ctx, e); !errors.Is(err, jobqueue.ErrConflict) {
		return e, err
	}
	e, _, err = o.registry.read(ctx, tenant, "")
	return e, err
}
