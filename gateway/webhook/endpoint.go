package webhook

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// endpoint is an entry of the bucket of webhooks: a webhook with its secrets,
// or, under [callbackTarget], the secrets of a tenant's callbacks alone.
type endpoint struct {
	Version int             `json:"v"`
	Tenant  string          `json:"tenant"`
	Webhook schemas.Webhook `json:"webhook"`
	Secrets secrets         `json:"secrets"`
}

func (e *endpoint) key() string { return endpointKey(e.Tenant, e.Webhook.ID) }

// endpointKey is where a webhook lies; without an id, the callbacks' secrets.
func endpointKey(tenant, id string) string {
	if id == "" {
		id = callbackTarget
	}
	return schemas.RecordKey(tenant, id)
}

// view is what its tenant is told of it: no secrets.
func (e *endpoint) view(now time.Time) schemas.Webhook {
	w := e.Webhook
	w.Secrets = len(e.Secrets.at(now))
	return w
}

// wants reports whether the webhook is told of an end.
func (e *endpoint) wants(end *ending) bool {
	w := &e.Webhook
	if !w.Enabled || end.atUS < w.SinceUS || !slices.Contains(w.Events, end.event) {
		return false
	}
	for k, v := range w.Labels {
		if got, ok := end.data.Labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// apply does what a client asks for. What changes whom it is told of, begins anew.
func (e *endpoint) apply(p schemas.WebhookPatch, now time.Time) {
	w, before := &e.Webhook, e.Webhook
	if p.URL != nil {
		w.URL = *p.URL
	}
	if p.Events != nil {
		w.Events = eventsOf(*p.Events)
	}
	if p.Labels != nil {
		w.Labels = *p.Labels
	}
	if p.Enabled != nil {
		w.Enabled, w.Disabled = *p.Enabled, ""
	}
	if w.URL != before.URL || w.Enabled && !before.Enabled {
		w.FailingUS = 0
	}
	if p.Events != nil || p.Labels != nil || w.Enabled && !before.Enabled {
		w.SinceUS = now.UnixMicro()
	}
}

// eventsOf are all ends of jobs, if none are named; else those that are, in their order and each once.
func eventsOf(asked []string) []string {
	if len(asked) == 0 {
		return slices.Clone(schemas.JobEvents)
	}
	return slices.DeleteFunc(slices.Clone(schemas.WebhookEvents), func(e string) bool { return !slices.Contains(asked, e) })
}

func decodeEndpoint(key string, data []byte) (e endpoint, err error) {
	if len(data) > maxEntryBytes {
		return e, fmt.Errorf("webhook %.120q: %w", key, schemas.ErrTooLarge)
	}
	if json.Unmarshal(data, &e) != nil {
		return e, fmt.Errorf("decode webhook %.120q: not JSON, or not a webhook", key) // no detail: it holds secrets
	}
	_, id, _ := strings.Cut(key, ".")
	if e.Version != entryVersion || e.key() != key || !schemas.ValidToken(e.Tenant) || id != callbackTarget && !schemas.ValidWebhookID(id) || !validSecrets(e.Secrets) {
		return e, fmt.Errorf("webhook %.120q is of another version, or another key's", key)
	}
	return e, nil
}
