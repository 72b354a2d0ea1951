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
	hears := listen(t)
	s := up(t, "--webhook-allow-cidr", "127.0.0.0/8")
	var hook schemas.Webhook
	added := s.pe(t, "webhooks", "add", hears.url+"/hook", "--event", "job.failed", "--json").want(t, 0)
	if err := json.Unmarshal([]byte(added.stdout), &hook); err != nil {
		t.Fatalf("%v: %s", err, added.stdout)
	}
	s.busybox(t, "echo fine") // nobody wants to hear of that
	job := s.busybox(t, "exit 3")
	got := hears.next(t, hook.Secret)
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

// receiver is what webhooks are sent to.
type receiver struct {
	url   string
	heard chan delivery
}

type delivery struct {
	header http.Header
	body   []byte
}

// listen serves until the test ends.
func listen(t *testing.T) receiver {
	t.Helper()
	r := receiver{heard: make(chan delivery, 10)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, 64<<10))
		if err != nil {
			t.Error(err)
		}
		r.heard <- delivery{request.Header, body}
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// next is the next one that came, signed with this secret as the specification's own library finds good.
func (r receiver) next(t *testing.T, secret string) delivery {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-r.heard:
		if err := verifier.Verify(got.body, got.header); err != nil {
			t.Errorf("the signature of %s: %v", got.body, err)
		}
		return got
	case <-time.After(patience):
		t.Fatalf("nobody was told within %s", patience)
		return delivery{}
	}
}
