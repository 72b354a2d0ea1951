package schemas

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScopes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		have []Scope
		want Scope
		ok   bool
	}{
		{[]Scope{ScopeAdmin}, ScopeSubmit, true}, {[]Scope{ScopeAdmin}, ScopeRead, true}, {[]Scope{ScopeSubmit}, ScopeRead, false},
		{[]Scope{ScopeRead}, ScopeSubmit, false}, {[]Scope{ScopeSubmit, ScopeRead}, ScopeAdmin, false}, {[]Scope{ScopeAdmin}, "", false}, {nil, ScopeRead, false},
	} {
		if Allows(c.have, c.want) != c.ok {
			t.Errorf("%v allow %q: %v", c.have, c.want, !c.ok)
		}
	}
}

func TestStateOfAToken(t *testing.T) {
	t.Parallel()
	for want, token := range map[string]AccessToken{"active": {ExpiresUS: 11}, "expired": {ExpiresUS: 10}, "revoked": {ExpiresUS: 11, RevokedUS: 5}} {
		if got := token.State(10); got != want {
			t.Errorf("%+v is %s", token, got)
		}
	}
}

func FuzzDecodeAccessToken(f *testing.F) {
	samples, err := filepath.Glob("testdata/golden/access-token-re*.json")
	if err != nil || len(samples) == 0 {
		f.Fatal(err)
	}
	for _, sample := range samples {
		data, err := os.ReadFile(sample)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"lifetime_ms":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := DecodeAccessTokenRecord(data); err == nil {
			if !ValidTokenTenant(r.Tenant) || len(r.Scopes) == 0 || !strings.HasPrefix(r.SHA256, DigestPrefix+r.ID) {
				t.Errorf("%s is taken as %+v", data, r)
			}
			again, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := DecodeAccessTokenRecord(again); err != nil {
				t.Errorf("%s: %v", again, err)
			}
		}
		if r, err := DecodeAccessTokenRequest(bytes.NewReader(data)); err == nil && (r.LifetimeMS < 0 || r.LifetimeMS > MaxTokenLifetimeMS || len(r.Scopes) > 3) {
			t.Errorf("%s is taken as %+v", data, r)
		}
	})
}
