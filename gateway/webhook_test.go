package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/program-explorer/pe/schemas"
)

type told struct {
	header http.Header
	body   []byte
}

// listens is an address that passes on what it is told.
func listens(t *testing.T) (*httptest.Server, <-chan told) {
	t.Helper()
	come := make(chan told, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		come <- told{r.Header, body}
	}))
	t.Cleanup(receiver.Close)
	return receiver, come
}

// nextTold is what an address is told next, signed with the secret.
func nextTold(t *testing.T, come <-chan told, secret string) (one told, event schemas.WebhookEvent) {
	t.Helper()
	select {
	case one = <-come:
	case <-time.After(time.Minute):
		t.Fatal("nobody was told")
	}
	check, err := standardwebhooks.NewWebhook(secret)
	if err == nil {
		err = check.Verify(one.body, one.header)
	}
	if err == nil {
		err = json.Unmarshal(one.body, &event)
	}
	if err != nil {
		t.Errorf("%s, %v", one.body, err)
	}
	return one, event
}

// TestEndsAreTold: jobs that a real coordinator ends reach a callback and a
// webhook, signed so that the official library takes them, time and all.
func TestEndsAreTold(t *testing.T) {
	t.Parallel()
	l := live(t)
	receiver, come := listens(t)
	ask := func(path string) *http.Response {
		resp, err := http.Post(l.server.URL()+path, "application/json", bytes.NewBufferString(`{"url":"`+receiver.URL+`","labels":{"campaign":"a"}}`))
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	hook := decode[schemas.Webhook](t, ask("/v1/webhooks"))
	resp, err := http.Get(l.server.URL() + "/v1/webhooks/secret")
	if err != nil {
		t.Fatal(err)
	}
	secret := decode[schemas.CallbackSecret](t, resp)
	expect := func(job schemas.Job, secret string) {
		t.Helper()
		one, event := nextTold(t, come, secret)
		if event.Type != schemas.JobEvent(job.State) || event.Data.ID != job.ID || event.Data.Links.Job != "/v1/jobs/"+job.ID {
			t.Errorf("%s", one.body)
		}
	}
	job, _ := l.post(`{"image":"gcc","callback":{"url":"`+receiver.URL+`"}}`, "?wait=30s")
	if job.State != schemas.StateSucceeded || job.Spec.Callback == nil {
		t.Fatalf("%+v", job)
	}
	expect(job, secret.Secret)
	job, _ = l.post(`{"image":"gcc","labels":{"campaign":"a"}}`, "?wait=30s")
	expect(job, hook.Secret)
	l.post(`{"image":"gcc","labels":{"campaign":"b"}}`, "?wait=30s")
	job, _ = l.post(`{"image":"gcc","labels":{"campaign":"a"}}`, "?wait=30s")
	expect(job, hook.Secret)
	if len(come) != 0 {
		t.Errorf("told too much: %s", (<-come).body)
	}
}
