package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/program-explorer/pe/gateway/webhook"
	"github.com/program-explorer/pe/schemas"
)

// Webhooks is what the API asks of package webhook, whose [webhook.Outbox] it is.
type Webhooks interface {
	// CheckURL says whether an address may be told.
	CheckURL(url string) error
	Create(ctx context.Context, tenant string, s schemas.WebhookSpec) (schemas.Webhook, error)
	List(tenant string) []schemas.Webhook
	Get(ctx context.Context, tenant, id string) (schemas.Webhook, error)
	Update(ctx context.Context, tenant, id string, p schemas.WebhookPatch) (schemas.Webhook, error)
	Delete(ctx context.Context, tenant, id string) error
	Rotate(ctx context.Context, tenant, id string, overlap time.Duration) (schemas.Webhook, error)
	CallbackSecret(ctx context.Context, tenant string) (schemas.CallbackSecret, error)
	RotateCallbackSecret(ctx context.Context, tenant string, overlap time.Duration) (schemas.CallbackSecret, error)
	Test(ctx context.Context, tenant, id string) (schemas.Delivery, error)
	Deliveries(ctx context.Context, tenant string, f webhook.Filter, after string, limit int) (schemas.DeliveryList, error)
	Replay(ctx context.Context, tenant, id string) (schemas.Delivery, error)
}

var _ Webhooks = (*webhook.Outbox)(nil)

// hooked serves a route that a gateway without webhooks does not have.
func (a *API) hooked(serve handler) handler {
	return func(w http.ResponseWriter, r *http.Request, tenant string) error {
		if a.Webhooks == nil {
			return kindNotFound.problem("this gateway tells nobody of the ends of jobs", "")
		}
		return serve(w, r, tenant)
	}
}

// checkCallback lists what is wrong with where a job's end is to be told.
func (a *API) checkCallback(c *schemas.Callback) []schemas.Problem {
	switch {
	case c == nil:
		return nil
	case a.Webhooks == nil:
		return []schemas.Problem{{Pointer: "/callback", Message: "this gateway tells nobody of the ends of jobs"}}
	}
	if err := a.Webhooks.CheckURL(c.URL); err != nil {
		return []schemas.Problem{{Pointer: "/callback/url", Message: err.Error()}}
	}
	return nil
}

func (a *API) createWebhook(w http.ResponseWriter, r *http.Request, tenant string) error {
	spec, err := posted(r, schemas.DecodeWebhookSpec)
	if err != nil {
		return err
	}
	hook, err := a.Webhooks.Create(r.Context(), tenant, spec)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/webhooks/"+hook.ID)
	return writeJSON(w, http.StatusCreated, hook)
}

func (a *API) listWebhooks(w http.ResponseWriter, _ *http.Request, tenant string) error {
	return writeJSON(w, http.StatusOK, schemas.WebhookList{Webhooks: a.Webhooks.List(tenant)})
}

func (a *API) getWebhook(w http.ResponseWriter, r *http.Request, tenant string) error {
	hook, err := a.Webhooks.Get(r.Context(), tenant, r.PathValue("id"))
	return answered(w, hook, err)
}

func (a *API) updateWebhook(w http.ResponseWriter, r *http.Request, tenant string) error {
	patch, err := posted(r, schemas.DecodeWebhookPatch)
	if err != nil {
		return err
	}
	hook, err := a.Webhooks.Update(r.Context(), tenant, r.PathValue("id"), patch)
	return answered(w, hook, err)
}

func (a *API) deleteWebhook(w http.ResponseWriter, r *http.Request, tenant string) error {
	if err := a.Webhooks.Delete(r.Context(), tenant, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) rotateWebhook(w http.ResponseWriter, r *http.Request, tenant string) error {
	overlap, err := overlapOf(r)
	if err != nil {
		return err
	}
	hook, err := a.Webhooks.Rotate(r.Context(), tenant, r.PathValue("id"), overlap)
	return answered(w, hook, err)
}

// testWebhook answers when the receiver has, or has not in time.
func (a *API) testWebhook(w http.ResponseWriter, r *http.Request, tenant string) error {
	stretch(w, testTimeout+a.StallTimeout)
	ctx, cancel := context.WithTimeout(r.Context(), testTimeout)
	defer cancel()
	d, err := a.Webhooks.Test(ctx, tenant, r.PathValue("id"))
	return answered(w, d, err)
}

// testTimeout is longer than a receiver may take.
const testTimeout = 30 * time.Second

func (a *API) callbackSecret(w http.ResponseWriter, r *http.Request, tenant string) error {
	secret, err := a.Webhooks.CallbackSecret(r.Context(), tenant)
	return answered(w, secret, err)
}

func (a *API) rotateCallbackSecret(w http.ResponseWriter, r *http.Request, tenant string) error {
	overlap, err := overlapOf(r)
	if err != nil {
		return err
	}
	secret, err := a.Webhooks.RotateCallbackSecret(r.Context(), tenant, overlap)
	return answered(w, secret, err)
}

func (a *API) listDeliveries(w http.ResponseWriter, r *http.Request, tenant string) error {
	filter, after, limit, err := deliveriesOf(r.URL.Query())
	if err != nil {
		return err
	}
	page, err := a.Webhooks.Deliveries(r.Context(), tenant, filter, after, limit)
	if err != nil {
		return err
	}
	return a.writeLarge(w, r, tenant, page)
}

// deliveriesOf reads the query of a list of deliveries: cursor, limit, webhook= and state=.
func deliveriesOf(q url.Values) (f webhook.Filter, after string, limit int, err error) {
	limit = defaultPage
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPage {
			return f, "", 0, kindMalformed.problemf("limit=%.20q: want a number from 1 to %d", text, maxPage)
		}
	}
	f = webhook.Filter{Webhook: q.Get("webhook"), State: q.Get("state")}
	switch {
	case f.Webhook != "" && !schemas.ValidWebhookID(f.Webhook):
		return f, "", 0, kindMalformed.problemf("webhook=%.40q is no webhook's id", f.Webhook)
	case f.State != "" && !slices.Contains(schemas.DeliveryStates, f.State):
		return f, "", 0, kindMalformed.problem(fmt.Sprintf("state=%.40q is none of %v", f.State, schemas.DeliveryStates), "")
	}
	return f, q.Get("cursor"), limit, nil
}

func (a *API) replayDelivery(w http.ResponseWriter, r *http.Request, tenant string) error {
	d, err := a.Webhooks.Replay(r.Context(), tenant, r.PathValue("id"))
	if errors.Is(err, webhook.ErrFull) {
		w.Header().Set("Retry-After", "5")
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, d)
}

func answered(w http.ResponseWriter, v any, err error) error {
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, v)
}

func overlapOf(r *http.Request) (time.Duration, error) {
	asked, err := posted(r, schemas.DecodeWebhookRotation)
	if err != nil {
		return 0, err
	}
	overlap := schemas.OverlapRange.Default
	if asked.OverlapMS != nil {
		overlap = *asked.OverlapMS
	}
	return time.Duration(overlap) * time.Millisecond, nil
}

// posted reads a document about webhooks; what is wrong with it is a problem.
func posted[T any](r *http.Request, decode func(io.Reader) (T, []schemas.Problem, error)) (T, error) {
	v, problems, err := decode(r.Body)
	if err == nil && len(problems) > 0 {
		p := invalid(problems)
		p.Type, p.Title, p.Hint = schemas.ProblemTypePrefix+kindWebhook.name, kindWebhook.title, "docs/webhooks.md has the fields"
		err = p
	}
	return v, err
}
