package schemas

import (
	"errors"
	"strings"
	"testing"
)

func TestCampaignNames(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "nightly-2026.11_28", "A0", strings.Repeat("x", 63)} {
		if !ValidCampaignName(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{"", "-a", ".", "..", "a/b", "a:close", "a b", "ä", "a\n", strings.Repeat("x", 64)} {
		if ValidCampaignName(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
	if one, two := CampaignKey("local", "a"), CampaignKey("local", "A"); one == two || !strings.HasPrefix(one, "local.") || !ValidToken(one[6:]) {
		t.Errorf("keys %s and %s", one, two)
	}
}

func TestDecodeCampaignRefuses(t *testing.T) {
	t.Parallel()
	for doc, pointer := range map[string]string{
		`[]`: "", `{"name":"x"}`: "/name", `{"description":3}`: "/description", `{"description":"a\nb"}`: "/description",
		`{"description":"` + strings.Repeat("x", MaxDescription+1) + `"}`: "/description", `{"callback":null}`: "/callback",
		`{"callback":{}}`: "/callback/url", `{"callback":{"url":"ftp://example.org"}}`: "/callback/url", `{"callback":{"url":"https://u:p@example.org"}}`: "/callback/url",
		`{"callback":{"url":"https://example.org"},"callback":{"url":"https://example.com"}}`: "/callback",
	} {
		_, found, err := DecodeCampaignSpec(strings.NewReader(doc))
		if err != nil || len(found) == 0 || found[0].Pointer != pointer {
			t.Errorf("%.80s: %v, %v; want a problem at %q", doc, found, err, pointer)
		}
	}
	if _, _, err := DecodeCampaignSpec(strings.NewReader(strings.Repeat(" ", MaxCampaignBytes+1))); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

func TestCampaignsAdvance(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Campaign{
		CampaignOpen: {CreatedUS: 1}, CampaignClosed: {CreatedUS: 1, ClosedUS: 2}, CampaignEnded: {CreatedUS: 1, ClosedUS: 2, EndedUS: 3},
	} {
		if c.Advance(); c.State != want {
			t.Errorf("%+v, want %s", c, want)
		}
	}
}

func FuzzDecodeCampaign(f *testing.F) {
	addSamples(f, "campaign-spec")
	f.Add([]byte(`{"description":"\u007f","callback":{"url":"https://[::1]:1/?x"}}`))
	schema := compiled(f, "campaign-spec.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, found, err := DecodeCampaignSpec(strings.NewReader(string(data)))
		if err != nil || len(found) > 0 {
			return
		}
		if err := schema.Validate(parsed(t, encodeFor(t, spec))); err != nil {
			t.Fatalf("%s is accepted, but not by the schema: %v", data, err)
		}
	})
}
