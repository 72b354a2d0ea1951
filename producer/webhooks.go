package producer

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// Webhooks lists the addresses that are told when jobs end.
func (c *Client) Webhooks(ctx context.Context) ([]schemas.Webhook, error) {
	var list schemas.WebhookList
	err := c.retry(ctx, func() error { return c.ask(ctx, hookCall(http.MethodGet), &list) })
	return list.Webhooks, err
}

// CreateWebhook registers an address. The answer alone holds the secret that signs what it is sent.
func (c *Client) CreateWebhook(ctx context.Context, spec schemas.WebhookSpec) (schemas.Webhook, error) {
	return sent[schemas.Webhook](ctx, c, http.MethodPost, spec)
}

// UpdateWebhook changes what the patch names.
func (c *Client) UpdateWebhook(ctx context.Context, id string, patch schemas.WebhookPatch) (schemas.Webhook, error) {
	return sent[schemas.Webhook](ctx, c, http.MethodPatch, patch, id)
}

// RemoveWebhook ends it. What is on its way to it fails.
func (c *Client) RemoveWebhook(ctx context.Context, id string) error {
	return c.retryLimited(ctx, func() error {
		resp, err := c.send(ctx, hookCall(http.MethodDelete, id))
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxProblem))
			resp.Body.Close()
		}
		return err
	})
}

// TestWebhook has an event of type webhook.test sent once, and tells what the receiver answered.
func (c *Client) TestWebhook(ctx context.Context, id string) (schemas.Delivery, error) {
	return sent[schemas.Delivery](ctx, c, http.MethodPost, nil, id+":test")
}

// RotateWebhook gives a webhook a new secret, which the answer alone holds. The
// one before signs beside it for the overlap.
func (c *Client) RotateWebhook(ctx context.Context, id string, overlap time.Duration) (schemas.Webhook, error) {
	return sent[schemas.Webhook](ctx, c, http.MethodPost, rotation(overlap), id+":rotate")
}

// CallbackSecret is what callbacks of jobs are signed with.
func (c *Client) CallbackSecret(ctx context.Context) (schemas.CallbackSecret, error) {
	var secret schemas.CallbackSecret
	err := c.retry(ctx, func() error { return c.ask(ctx, hookCall(http.MethodGet, "secret"), &secret) })
	return secret, err
}

// RotateCallbackSecret replaces it, as [Client.RotateWebhook] does.
func (c *Client) RotateCallbackSecret(ctx context.Context, overlap time.Duration) (schemas.CallbackSecret, error) {
	return sent[schemas.CallbackSecret](ctx, c, http.MethodPost, rotation(overlap), "secret:rotate")
}

func rotation(overlap time.Duration) schemas.WebhookRotation {
	ms := overlap.Milliseconds()
	return schemas.WebhookRotation{OverlapMS: &ms}
}

// DeliveryFilter selects deliveries; empty fields select all.
type DeliveryFilter struct {
	// Webhook is an id, State one of [schemas.DeliveryStates].
	Webhook, State string
}

// Deliveries yields what was sent to webhooks and callbacks, the newest first,
// page by page as it is asked for. It ends after the first error.
func (c *Client) Deliveries(ctx context.Context, f DeliveryFilter) iter.Seq2[schemas.Delivery, error] {
	return func(yield func(schemas.Delivery, error) bool) {
		get := hookCall(http.MethodGet, "deliveries")
		get.query = url.Values{}
		for name, v := range map[string]string{"webhook": f.Webhook, "state": f.State} {
			if v != "" {
				get.query.Set(name, v)
			}
		}
		for {
			var page schemas.DeliveryList
			if err := c.retry(ctx, func() error { return c.ask(ctx, get, &page) }); err != nil {
				yield(schemas.Delivery{}, err)
				return
			}
			for _, d := range page.Deliveries {
				if !yield(d, nil) {
					return
				}
			}
			if page.Next == "" || page.Next == get.query.Get("cursor") {
				return
			}
			get.query.Set("cursor", page.Next)
		}
	}
}

// ReplayDelivery has a delivery sent again, under the same id.
func (c *Client) ReplayDelivery(ctx context.Context, id string) (schemas.Delivery, error) {
	return sent[schemas.Delivery](ctx, c, http.MethodPost, nil, "deliveries", id+":replay")
}

func hookCall(method string, path ...string) call {
	return call{method: method, path: append([]string{"v1", "webhooks"}, path...)}
}

// sent asks once more only if there were too many requests: what is posted twice is there twice.
func sent[T any](ctx context.Context, c *Client, method string, body any, path ...string) (answer T, err error) {
	what := hookCall(method, path...)
	what.json = true
	if body != nil {
		if what.body, what.size, err = jsonBody(body); err != nil {
			return answer, err
		}
	}
	err = c.retryLimited(ctx, func() error { return c.ask(ctx, what, &answer) })
	return answer, err
}
