package schemas

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestDecodeWebhookRefuses(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("A", 32)
	for doc, pointer := range map[string]string{
		`{}`: "/url", `{"url":""}`: "/url", `{"url":3}`: "/url", `{"url":"example.org"}`: "/url", `{"url":"ftp://example.org"}`: "/url",
		`{"url":"https://"}`: "/url", `{"url":"https:///x"}`: "/url", `{"url":"https://a b"}`: "/url", `{"url":"https://é.example"}`: "/url",
		`{"url":"https://u:p@example.org"}`: "/url", `{"url":"https://example.org/#x"}`: "/url", `{"url":"https://example.org:99999"}`: "/url",
		`{"url":"https://example.org:0"}`: "/url", `{"url":"https://[::1"}`: "/url", `{"url":"https://a/` + strings.Repeat("x", MaxURLBytes) + `"}`: "/url",
		`{"url":"https://a","events":["job.started"]}`: "/events/0", `{"url":"https://a","events":["job.dead","job.dead","job.dead","job.dead","job.dead","job.dead","job.dead"]}`: "/events",
		`{"url":"https://a","labels":{"-":"x"}}`: "/labels/-", `{"url":"https://a","secret":"whsec_AAAA"}`: "/secret", `{"url":"https://a","secret":"` + key + `"}`: "/secret",
		`{"url":"https://a","secret":"whsec_` + strings.Repeat("A", 88) + `"}`: "/secret", `{"url":"https://a","extra":1}`: "/extra", `{"url":"https://a","url":"https://b"}`: "/url",
	} {
		_, found, err := DecodeWebhookSpec(strings.NewReader(doc))
		if err != nil || len(found) == 0 || found[0].Pointer != pointer {
			t.Errorf("%.80s: %v, %v; want a problem at %s", doc, found, err, pointer)
		}
	}
	for doc, pointer := range map[string]string{
		`{"url":"x"}`: "/url", `{"events":["x"]}`: "/events/0", `{"labels":{"a":"\n"}}`: "/labels/a", `{"enabled":"yes"}`: "/enabled", `{"events":null}`: "/events",
	} {
		if _, found, err := DecodeWebhookPatch(strings.NewReader(doc)); err != nil || len(found) == 0 || found[0].Pointer != pointer {
			t.Errorf("%.80s: %v, %v; want a problem at %s", doc, found, err, pointer)
		}
	}
	for _, doc := range []string{`{"overlap_ms":-1}`, `{"overlap_ms":604800001}`} {
		if _, found, err := DecodeWebhookRotation(strings.NewReader(doc)); err != nil || len(found) != 1 {
			t.Errorf("%s: %v, %v", doc, found, err)
		}
	}
	if _, _, err := DecodeWebhookSpec(strings.NewReader(strings.Repeat(" ", MaxWebhookBytes+1))); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"whsec_" + strings.Repeat("A", 32), "whsec_" + strings.Repeat("A", 86) + "==", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} {
		if key, err := ParseSecret(good); err != nil || len(key) < MinSecretBytes || !secretPattern.MatchString(good) {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "whsec_", "whsk_" + strings.Repeat("A", 32), "whsec_" + strings.Repeat("A", 31), "whsec_" + strings.Repeat("A", 28), "whsec_" + strings.Repeat("A", 88), "whsec_\n" + strings.Repeat("A", 32)} {
		_, err := ParseSecret(bad)
		if err == nil || len(bad) > 10 && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestWebhookIDs(t *testing.T) {
	t.Parallel()
	if id := DeliveryID([16]byte{1}); !ValidDeliveryID(id) || id == DeliveryID([16]byte{0: 1, 15: 1}) || DeliveryID([16]byte{}) != "msg_"+strings.Repeat("0", 26) {
		t.Error(id)
	}
	var ends []string
	for _, s := range States {
		if s.Terminal() {
			ends = append(ends, JobEvent(s))
		}
	}
	if strings.Join(ends, " ") != strings.Join(JobEvents, " ") {
		t.Errorf("jobs end as %v, events are %v", ends, JobEvents)
	}
}

func FuzzDecodeWebhook(f *testing.F) {
	addSamples(f, "webhook-spec")
	addSamples(f, "webhook-patch")
	addSamples(f, "webhook-rotation")
	f.Add([]byte(`{"url":"https://[fe80::1%25a]:1/","labels":{"a":""},"secret":"whsec_` + strings.Repeat("=", 34) + `"}`))
	spec, patch := compiled(f, "webhook-spec.json"), compiled(f, "webhook-patch.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, found, err := DecodeWebhookSpec(strings.NewReader(string(data))); err == nil && len(found) == 0 {
			if err := spec.Validate(parsed(t, encodeFor(t, v))); err != nil {
				t.Fatalf("%s is accepted, but not by the schema: %v", data, err)
			}
		}
		if v, found, err := DecodeWebhookPatch(strings.NewReader(string(data))); err == nil && len(found) == 0 {
			if err := patch.Validate(parsed(t, encodeFor(t, v))); err != nil {
				t.Fatalf("%s is accepted, but not by the schema: %v", data, err)
			}
		}
		if v, found, err := DecodeWebhookRotation(strings.NewReader(string(data))); err == nil && len(found) == 0 {
			if _, err := json.Marshal(v); err != nil {
				t.Fatal(err)
			}
		}
	})
}
