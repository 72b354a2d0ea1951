package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/program-explorer/pe/gateway/webhook"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// hooks serves the API with a real outbox.
func hooks(t *testing.T) *harness {
	t.Helper()
	outbox := newOutbox(t)
	return start(t, func(c *Config) { c.Webhooks = outbox })
}

// newOutbox runs one, which may tell this machine, until the test ends.
func newOutbox(t *testing.T) *webhook.Outbox {
	t.Helper()
	outbox, err := webhook.New(webhook.Config{
		Queue: queuetest.Start(t).Gateway(t, nil), Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- outbox.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for {
		_, err := outbox.Deliveries(t.Context(), schemas.SingleTenant, webhook.Filter{}, "", 1)
		if err == nil {
			return outbox
		}
		if !errors.Is(err, webhook.ErrLoading) {
			t.Fatal(err)
		}
	}
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	h := hooks(t)
	var status atomic.Int32
	status.Store(http.StatusOK)
	var told atomic.Int32
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		told.Add(1)
		w.WriteHeader(int(status.Load()))
	}))
	defer receiver.Close()
	list := func() schemas.WebhookList { return ask[schemas.WebhookList](t, h, 200, "GET", "/v1/webhooks", "") }
	if len(list().Webhooks) != 0 {
		t.Error("there is one already")
	}
	made := ask[schemas.Webhook](t, h, 201, "POST", "/v1/webhooks", `{"url":"`+receiver.URL+`","events":["job.failed"]}`)
	at := "/v1/webhooks/" + made.ID
	if _, err := schemas.ParseSecret(made.Secret); err != nil || !made.Enabled {
		t.Errorf("%+v, %v", made, err)
	}
	if all := list().Webhooks; len(all) != 1 || all[0].ID != made.ID || all[0].Secret != "" {
		t.Errorf("%+v", all)
	}
	if one := ask[schemas.Webhook](t, h, 200, "GET", at, ""); one.URL != receiver.URL || one.Secret != "" {
		t.Errorf("%+v", one)
	}
	if off := ask[schemas.Webhook](t, h, 200, "PATCH", at, `{"enabled":false,"events":[]}`); off.Enabled || len(off.Events) != len(schemas.JobEvents) {
		t.Errorf("%+v", off)
	}
	if again := ask[schemas.Webhook](t, h, 200, "POST", at+":rotate", `{"overlap_ms":60000}`); again.Secrets != 2 || again.Secret == made.Secret {
		t.Errorf("%+v", again)
	}
	ask[schemas.Webhook](t, h, 200, "PATCH", at, `{"enabled":true}`)
	tested := ask[schemas.Delivery](t, h, 200, "POST", at+":test", "")
	if tested.State != schemas.DeliveryDelivered || told.Load() != 1 {
		t.Errorf("%+v", tested)
	}
	status.Store(http.StatusTeapot)
	failed := ask[schemas.Delivery](t, h, 200, "POST", at+":test", "")
	if failed.State != schemas.DeliveryFailed || failed.Last.Status != http.StatusTeapot {
		t.Errorf("%+v", failed)
	}
	page := ask[schemas.DeliveryList](t, h, 200, "GET", "/v1/webhooks/deliveries?state=failed&webhook="+made.ID, "")
	if len(page.Deliveries) != 1 || page.Deliveries[0].ID != failed.ID {
		t.Errorf("%+v", page)
	}
	page = ask[schemas.DeliveryList](t, h, 200, "GET", "/v1/webhooks/deliveries?limit=1", "")
	if len(page.Deliveries) != 1 || page.Next == "" {
		t.Errorf("%+v", page)
	}
	if again := ask[schemas.Delivery](t, h, 202, "POST", "/v1/webhooks/deliveries/"+failed.ID+":replay", ""); again.State != schemas.DeliveryPending {
		t.Errorf("%+v", again)
	}
	secret := ask[schemas.CallbackSecret](t, h, 200, "GET", "/v1/webhooks/secret", "")
	if again := ask[schemas.CallbackSecret](t, h, 200, "POST", "/v1/webhooks/secret:rotate", `{}`); again.Secrets != 2 || again.Secret == secret.Secret {
		t.Errorf("%+v", again)
	}
	for _, c := range []struct {
		status             int
		method, path, body string
		kind               string
	}{
		{422, "POST", "/v1/webhooks", `{"url":"gopher://a","events":["x"]}`, "invalid-webhook"},
		{422, "POST", "/v1/webhooks", `{"url":"https://169.254.169.254/latest"}`, "address-not-allowed"},
		{422, "PATCH", at, `{"url":"https://[::1]/"}`, "address-not-allowed"},
		{400, "POST", "/v1/webhooks", `{`, "malformed"},
		{413, "POST", "/v1/webhooks", strings.Repeat(" ", schemas.MaxWebhookBytes+1), "too-large"},
		{404, "GET", "/v1/webhooks/w00000000000000000000000000", "", "not-found"}, {404, "GET", "/v1/webhooks/..%2fx", "", "not-found"},
		{404, "DELETE", "/v1/webhooks/nonsense", "", "not-found"}, {404, "POST", "/v1/webhooks/w0000000000000000000000000:test", "", "not-found"},
		{404, "POST", "/v1/webhooks/deliveries/msg_1:replay", "", "not-found"}, {422, "POST", at + ":rotate", `{"overlap_ms":-1}`, "invalid-webhook"},
		{400, "GET", "/v1/webhooks/deliveries?state=lost", "", "malformed"}, {400, "GET", "/v1/webhooks/deliveries?cursor=x", "", "malformed"},
		{400, "GET", "/v1/webhooks/deliveries?webhook=x", "", "malformed"}, {400, "GET", "/v1/webhooks/deliveries?limit=0", "", "malformed"},
	} {
		if p := ask[schemas.ProblemDocument](t, h, c.status, c.method, c.path, c.body); p.Type != schemas.ProblemTypePrefix+c.kind {
			t.Errorf("%s %s: %+v", c.method, c.path, p)
		}
	}
	ask[schemas.Webhook](t, h, 200, "PATCH", at, `{"enabled":false}`)
	if p := ask[schemas.ProblemDocument](t, h, 409, "POST", "/v1/webhooks/deliveries/"+failed.ID+":replay", ""); p.Type != schemas.ProblemTypePrefix+"webhook-disabled" {
		t.Errorf("%+v", p)
	}
	if resp := h.request(t, "DELETE", at, ""); resp.StatusCode != http.StatusNoContent || len(list().Webhooks) != 0 {
		t.Errorf("removed: %s", resp.Status)
	}
	for range schemas.MaxWebhooks {
		ask[schemas.Webhook](t, h, 201, "POST", "/v1/webhooks", `{"url":"https://example.org/"}`)
	}
	ask[schemas.ProblemDocument](t, h, 409, "POST", "/v1/webhooks", `{"url":"https://example.org/"}`)
}

// TestCallbackIsChecked when the job is submitted, and shown with it.
func TestCallbackIsChecked(t *testing.T) {
	t.Parallel()
	h := hooks(t)
	job := ask[schemas.Job](t, h, 202, "POST", "/v1/jobs", `{"image":"gcc","callback":{"url":"https://example.org/done"}}`)
	if job = ask[schemas.Job](t, h, 200, "GET", "/v1/jobs/"+job.ID, ""); job.Spec.Callback == nil || job.Spec.Callback.URL != "https://example.org/done" {
		t.Errorf("%+v", job.Spec)
	}
	p := ask[schemas.ProblemDocument](t, h, 422, "POST", "/v1/jobs", `{"image":"gcc","callback":{"url":"https://10.0.0.1/"}}`)
	if len(p.Problems) != 1 || p.Problems[0].Pointer != "/callback/url" || !strings.Contains(p.Problems[0].Message, "10.0.0.1 is not public") {
		t.Errorf("%+v", p)
	}
	without := start(t)
	p = ask[schemas.ProblemDocument](t, without, 422, "POST", "/v1/jobs", `{"image":"gcc","callback":{"url":"https://example.org/"}}`)
	if len(p.Problems) != 1 || p.Problems[0].Pointer != "/callback" {
		t.Errorf("%+v", p)
	}
	ask[schemas.ProblemDocument](t, without, 404, "GET", "/v1/webhooks", "")
}
