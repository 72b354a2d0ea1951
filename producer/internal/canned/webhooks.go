package canned

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// Ids of what there is in every gateway: a webhook, and a delivery to it that failed.
const (
	hookID     = "w01h8x3vz9k6tqc2n4m5p7r0sa"
	deliveryID = "msg_01h8x3vz9k6tqc2n4m5p7r0sab"
	secretA    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretB    = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
)

func (g *Gateway) routeWebhooks(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/webhooks", g.listHooks)
	mux.HandleFunc("POST /v1/webhooks", g.createHook)
	mux.HandleFunc("PATCH /v1/webhooks/{id}", g.patchHook)
	mux.HandleFunc("DELETE /v1/webhooks/{id}", g.deleteHook)
	mux.HandleFunc("POST /v1/webhooks/{id}", g.hookVerb)
	mux.HandleFunc("GET /v1/webhooks/secret", func(w http.ResponseWriter, _ *http.Request) {
		g.reply(w, http.StatusOK, "callback-secret", schemas.CallbackSecret{Secret: secretA, Secrets: 1})
	})
	mux.HandleFunc("POST /v1/webhooks/secret:rotate", func(w http.ResponseWriter, _ *http.Request) {
		g.reply(w, http.StatusOK, "callback-secret", schemas.CallbackSecret{Secret: secretB, Secrets: 2})
	})
	mux.HandleFunc("GET /v1/webhooks/deliveries", g.listDeliveries)
	mux.HandleFunc("POST /v1/webhooks/deliveries/{id}", g.replay)
}

func cannedHook() schemas.Webhook {
	return schemas.Webhook{ID: hookID, URL: "https://example.org/hook", Events: schemas.JobEvents, Enabled: true, CreatedUS: epoch, SinceUS: epoch, Secrets: 1}
}

// goneHook is one that was disabled.
func goneHook() schemas.Webhook {
	h := cannedHook()
	h.ID, h.URL, h.Events, h.Labels = strings.Replace(hookID, "0sa", "0sb", 1), "https://gone.example/", []string{schemas.EventJobFailed}, map[string]string{"campaign": "nightly"}
	h.Enabled, h.Disabled = false, "the receiver answered 410 Gone"
	return h
}

func (g *Gateway) listHooks(w http.ResponseWriter, _ *http.Request) {
	failing := cannedHook()
	failing.FailingUS = epoch
	g.reply(w, http.StatusOK, "webhook-list", schemas.WebhookList{Webhooks: []schemas.Webhook{failing, goneHook()}})
}

func (g *Gateway) createHook(w http.ResponseWriter, r *http.Request) {
	spec, problems, err := schemas.DecodeWebhookSpec(r.Body)
	if err != nil || len(problems) > 0 {
		g.problem(w, http.StatusUnprocessableEntity, "invalid-webhook", "The webhook is not valid", problems[0].Pointer+": "+problems[0].Message, "", problems...)
		return
	}
	h := cannedHook()
	if h.URL, h.Labels, h.Secret = spec.URL, spec.Labels, secretA; len(spec.Events) > 0 {
		h.Events = spec.Events
	}
	g.reply(w, http.StatusCreated, "webhook", h)
}

// hook finds one of the two, or answers that there is none.
func (g *Gateway) hook(w http.ResponseWriter, id string) (schemas.Webhook, bool) {
	for _, h := range []schemas.Webhook{cannedHook(), goneHook()} {
		if h.ID == id {
			return h, true
		}
	}
	g.problem(w, http.StatusNotFound, "not-found", "There is no such thing here", "there is no such webhook or delivery", "GET /v1/webhooks lists what there is")
	return schemas.Webhook{}, false
}

func (g *Gateway) patchHook(w http.ResponseWriter, r *http.Request) {
	h, ok := g.hook(w, r.PathValue("id"))
	if !ok {
		return
	}
	var p schemas.WebhookPatch
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
		g.t.Error(err)
	}
	if p.Enabled != nil {
		h.Enabled, h.Disabled = *p.Enabled, ""
	}
	g.reply(w, http.StatusOK, "webhook", h)
}

func (g *Gateway) deleteHook(w http.ResponseWriter, r *http.Request) {
	if _, ok := g.hook(w, r.PathValue("id")); ok {
		w.WriteHeader(http.StatusNoContent)
	}
}

func (g *Gateway) hookVerb(w http.ResponseWriter, r *http.Request) {
	id, verb, _ := strings.Cut(r.PathValue("id"), ":")
	h, ok := g.hook(w, id)
	if !ok {
		return
	}
	if verb == "rotate" {
		h.Secret, h.Secrets = secretB, 2
		g.reply(w, http.StatusOK, "webhook", h)
		return
	}
	d := schemas.Delivery{
		ID: deliveryID, Webhook: h.ID, URL: h.URL, Event: schemas.EventWebhookTest, State: schemas.DeliveryDelivered, CreatedUS: epoch, Attempts: 1,
		Last:    &schemas.DeliveryAttempt{AtUS: epoch, TookMS: 34, Status: 204},
		Payload: schemas.WebhookEvent{Type: schemas.EventWebhookTest, Timestamp: "2026-11-28T12:00:00Z", Data: schemas.WebhookData{ID: h.ID}},
	}
	if !h.Enabled {
		d.State, d.Last = schemas.DeliveryFailed, &schemas.DeliveryAttempt{AtUS: epoch, TookMS: 15000, Error: "no answer within 15s"}
	}
	g.reply(w, http.StatusOK, "delivery", d)
}

func (g *Gateway) cannedDelivery() schemas.Delivery {
	var d schemas.Delivery
	if err := json.Unmarshal(goldenSample(g.t, "delivery.failed"), &d); err != nil {
		g.t.Error(err)
	}
	d.CreatedUS, d.Last.AtUS = epoch, epoch
	return d
}

func (g *Gateway) listDeliveries(w http.ResponseWriter, r *http.Request) {
	var list schemas.DeliveryList
	if state := r.URL.Query().Get("state"); state == "" || state == schemas.DeliveryFailed {
		list.Deliveries = append(list.Deliveries, g.cannedDelivery())
	}
	g.reply(w, http.StatusOK, "delivery-list", list)
}

func (g *Gateway) replay(w http.ResponseWriter, r *http.Request) {
	d := g.cannedDelivery()
	if r.PathValue("id") != d.ID+":replay" {
		g.hook(w, "")
		return
	}
	d.State, d.Attempts, d.NextUS, d.Reason = schemas.DeliveryPending, 0, epoch, ""
	g.reply(w, http.StatusAccepted, "delivery", d)
}
