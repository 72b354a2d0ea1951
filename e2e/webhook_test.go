package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/program-explorer/pe/schemas"
)

// TestWebhookHearsOfAnEnd: an endpoint is told of the end of a job that really
// ran, with a signature that the specification's own library finds good.
func TestWebhookHearsOfAnEnd(t *testing.T) {
	t.Parallel()
	type request struct {
		header http.Header
		body   []byte
	}
	heard := make(chan request, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil {
			t.Error(err)
		}
		heard <- request{r.Header, body}
	}))
	defer receiver.Close()
	s := up(t, "--webhook-allow-cidr", "127.0.0.0/8")
	var hook schemas.Webhook
	added := s.pe(t, "webhooks", "add", receiver.URL+"/hook", "--event", "job.failed", "--json").want(t, 0)
	if err := json.Unmarshal([]byte(added.stdout), &hook); err != nil {
		t.Fatalf("%v: %s", err, added.stdout)
	}
	verifier, err := standardwebhooks.NewWebhook(hook.Secret)
	if err != nil {
		t.Fatal(err)
	}

	s.busybox(t, "echo fine") // nobody wants to hear of that
	job := s.busybox(t, "exit 3")
	var got request
	select {
	case got = <-heard:
	case <-time.After(patience):
		t.Fatalf("nobody was told within %s", patience)
	}
	if err := verifier.Verify(got.body, got.header); err != nil {
		t.Errorf("the signature: %v", err)
	}
	var event struct {
		Type string
		Data struct {
			ID       string
			State    schemas.State
			ExitCode int `json:"exit_code"`
		}
	}
	if err := json.Unmarshal(got.body, &event); err != nil {
		t.Fatalf("%v: %s", err, got.body)
	}
	if event.Type != "job.failed" || event.Data.ID != job.ID || event.Data.State != schemas.StateFailed || event.Data.ExitCode != 3 {
		t.Errorf("told was %s of job %s", got.body, job.ID)
	}
	eventually(t, "the delivery is noted", func() bool {
		return strings.Contains(s.pe(t, "webhooks", "deliveries", "--state", "delivered").want(t, 0).stdout, got.header.Get("webhook-id"))
	})
}
