package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// What follows stands in docs/webhooks.md as it is here.

// receive answers webhooks that were signed with the secret, "whsec_…".
func receive(secret string, handle func(id, event, job string)) http.HandlerFunc {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		panic(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil || !signed(key, r.Header, body) {
			http.Error(w, "not signed by us", http.StatusUnauthorized)
			return
		}
		var event struct {
			Type string
			Data struct{ ID string }
		}
		if json.Unmarshal(body, &event) != nil {
			http.Error(w, "not an event", http.StatusBadRequest)
			return
		}
		if event.Type == "webhook.test" {
			return // its id is the webhook's, and no job's
		}
		handle(r.Header.Get("webhook-id"), event.Type, event.Data.ID)
	}
}

// signed checks time and signature; while a secret is replaced there are two.
func signed(key []byte, h http.Header, body []byte) bool {
	at, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(h.Get("webhook-id") + "." + h.Get("webhook-timestamp") + "."))
	mac.Write(body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, one := range strings.Fields(h.Get("webhook-signature")) {
		if hmac.Equal([]byte(one), []byte(want)) {
			return true
		}
	}
	return false
}

// End of what stands there.

func TestReceiverOfThePage(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("receiver_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(source), "as it is here.\n")
	code, _, _ = strings.Cut(code, "// End of what")
	page, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```go\n"+strings.TrimSpace(code)+"\n```") {
		t.Error("docs/webhooks.md has another receiver")
	}
	w := newWorld(t)
	handled := make(chan [3]string, 2)
	var r *server
	b := w.box(func(c *Config) { c.Clock = nil }) // its signatures are of now
	w.clock.now = time.Now()
	r = w.receiver(nil)
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	r.answers(func(rw http.ResponseWriter, req *http.Request) {
		last := r.requests()
		req.Body = io.NopCloser(strings.NewReader(string(last[len(last)-1].body)))
		receive(hook.Secret, func(id, event, job string) { handled <- [3]string{id, event, job} })(rw, req)
	})
	d, err := b.Test(t.Context(), tenant, hook.ID)
	if err != nil || d.State != schemas.DeliveryDelivered || d.Payload.Data.ID != hook.ID || len(handled) > 0 {
		t.Errorf("a test: %+v, handled %d, %v", d, len(handled), err)
	}
	rec := w.ended(schemas.StateFailed, func(rec *schemas.Record) { rec.EndedUS = time.Now().UnixMicro() })
	b.Ended(rec, true)
	d = w.settled(b, rec, hook.ID, 1)
	if d.State != schemas.DeliveryDelivered {
		t.Fatalf("not taken: %+v", d)
	}
	if got := <-handled; got != [3]string{d.ID, schemas.EventJobFailed, rec.ID} {
		t.Errorf("handled %q of %+v", got, d)
	}
	// Another secret, another body, another time.
	one := r.requests()[0]
	key, err := schemas.ParseSecret(hook.Secret)
	if err != nil || !signed(key, one.header, one.body) {
		t.Error(err)
	}
	if signed(key[1:], one.header, one.body) || signed(key, one.header, append(one.body, ' ')) {
		t.Error("anything is taken")
	}
	old := one.header.Clone()
	old.Set("webhook-timestamp", strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10))
	if signed(key, old, one.body) {
		t.Error("an old one is taken")
	}
}
