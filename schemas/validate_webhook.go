package schemas

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// SecretPrefix begins a webhook's secret.
const SecretPrefix = "whsec_"

// Bytes of a secret, before base 64.
const (
	MinSecretBytes = 24
	MaxSecretBytes = 64
)

var (
	urlPattern       = regexp.MustCompile(`^https?://[!-"$-~]+$`) // printable ASCII, no fragment
	secretPattern    = regexp.MustCompile(`^whsec_[A-Za-z0-9+/]{32,86}={0,2}$`)
	webhookIDPattern = regexp.MustCompile(`^w[0-9a-hjkmnp-tv-z]{25}$`)
	deliveryPattern  = regexp.MustCompile(`^msg_[0-9a-hjkmnp-tv-z]{26}$`)
)

var (
	webhookSpecShape     = shapeOf[WebhookSpec]()
	webhookPatchShape    = shapeOf[WebhookPatch]()
	webhookRotationShape = shapeOf[WebhookRotation]()
)

// errSecret does not repeat the secret.
var errSecret = errors.New("secret: want whsec_ and 24 to 64 bytes in base 64")

// ValidWebhookID reports whether s has the form of a webhook's id.
func ValidWebhookID(s string) bool { return webhookIDPattern.MatchString(s) }

// ValidDeliveryID reports whether s has the form of a delivery's id.
func ValidDeliveryID(s string) bool { return deliveryPattern.MatchString(s) }

// Validate lists what is wrong with the request.
func (s WebhookSpec) Validate() []Problem {
	var ps problems
	if s.URL == "" {
		ps.add("/url", "is required: the address that is told, such as https://example.org/hook")
	} else {
		validateURL(&ps, "/url", s.URL)
	}
	validateEvents(&ps, s.Events)
	validateLabels(&ps, "/labels", s.Labels)
	if s.Secret != "" {
		if _, err := ParseSecret(s.Secret); err != nil {
			ps.add("/secret", "want whsec_ and %d to %d bytes in base 64", MinSecretBytes, MaxSecretBytes)
		}
	}
	return ps.list
}

// Validate lists what is wrong with the request.
func (p WebhookPatch) Validate() []Problem {
	var ps problems
	if p.URL != nil {
		validateURL(&ps, "/url", *p.URL)
	}
	if p.Events != nil {
		validateEvents(&ps, *p.Events)
	}
	if p.Labels != nil {
		validateLabels(&ps, "/labels", *p.Labels)
	}
	return ps.list
}

// Validate lists what is wrong with the request.
func (r WebhookRotation) Validate() []Problem {
	var ps problems
	if v := r.OverlapMS; v != nil && (*v < OverlapRange.Min || *v > OverlapRange.Max) {
		ps.add("/overlap_ms", "want %d to %d milliseconds; it is %d", OverlapRange.Min, OverlapRange.Max, *v)
	}
	return ps.list
}

func validateEvents(ps *problems, events []string) {
	if len(events) > len(WebhookEvents) {
		ps.add("/events", "has %d items; at most %d", len(events), len(WebhookEvents))
		return
	}
	for i, e := range events {
		if !slices.Contains(WebhookEvents, e) {
			ps.add(pointer("/events").item(i), "%s", wantOneOf(e, WebhookEvents))
		}
	}
}

// validateURL looks at the form alone: where the address leads is known when it is dialled.
func validateURL(ps *problems, at pointer, s string) {
	if len(s) > MaxURLBytes {
		ps.add(at, "has %d bytes; at most %d", len(s), MaxURLBytes)
		return
	}
	u, err := url.Parse(s)
	switch {
	case !urlPattern.MatchString(s) || err != nil || u.Hostname() == "" || !validPort(u.Port()):
		ps.add(at, "want an address such as https://example.org/hook, in ASCII and without a fragment")
	case u.User != nil:
		ps.add(at, "want an address without user and password: a receiver knows its sender by the signature")
	}
}

func validPort(s string) bool {
	n, err := strconv.Atoi(s)
	return s == "" || err == nil && n > 0 && n < 1<<16
}

// ParseSecret returns the key of a secret, 24 to 64 bytes.
func ParseSecret(s string) ([]byte, error) {
	if !secretPattern.MatchString(s) { // the decoder would let line ends pass
		return nil, errSecret
	}
	key, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(s, SecretPrefix))
	if err != nil || len(key) < MinSecretBytes || len(key) > MaxSecretBytes {
		return nil, errSecret
	}
	return key, nil
}

// DecodeWebhookSpec reads a posted webhook of at most [MaxWebhookBytes], and lists all that is wrong with it.
func DecodeWebhookSpec(r io.Reader) (WebhookSpec, []Problem, error) {
	return decodePosted[WebhookSpec]("webhook", r, MaxWebhookBytes, webhookSpecShape)
}

// DecodeWebhookPatch reads changes as [DecodeWebhookSpec] reads a webhook.
func DecodeWebhookPatch(r io.Reader) (WebhookPatch, []Problem, error) {
	return decodePosted[WebhookPatch]("webhook", r, MaxWebhookBytes, webhookPatchShape)
}

// DecodeWebhookRotation reads a wish for a new secret.
func DecodeWebhookRotation(r io.Reader) (WebhookRotation, []Problem, error) {
	return decodePosted[WebhookRotation]("webhook", r, MaxWebhookBytes, webhookRotationShape)
}

// decodePosted is [DecodeJobSpec] for what clients post beside jobs.
func decodePosted[T interface{ Validate() []Problem }](what string, r io.Reader, most int64, sh *shape) (T, []Problem, error) {
	var v T
	data, err := readAtMost(r, most)
	if err != nil {
		return v, nil, fmt.Errorf("read %s: %w", what, err)
	}
	found, err := inspect(data, sh, false)
	if err != nil {
		return v, nil, err
	}
	if len(found.list) > 0 {
		return v, found.list, nil
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, nil, fmt.Errorf("decode %s: %w", what, err)
	}
	return v, v.Validate(), nil
}
