package roles

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/gateway/api"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
)

func TestADataDirectoryHasOneInstance(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made")
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "used by process "+pid()) {
		t.Errorf("the second instance got %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

func pid() string {
	link, err := os.Readlink("/proc/self")
	if err != nil {
		return ""
	}
	return link
}

func TestTokens(t *testing.T) {
	t.Parallel()
	load := func(text string) ([]access.Token, error) {
		path := filepath.Join(t.TempDir(), "tokens")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return LoadTokens(path)
	}
	got, err := load("# ours\n\n0123456789abcdef\nfedcba9876543210 alice admin\nsha256:" + strings.Repeat("0a", 32) + " * read,admin\n")
	if err != nil || len(got) != 3 || got[0].Tenant != "local" || !slices.Equal(got[0].Scopes, []schemas.Scope{"submit", "read"}) ||
		got[1].Tenant != "alice" || !slices.Equal(got[1].Scopes, []schemas.Scope{"admin"}) || got[2].Tenant != "*" || got[2].ID != "0a0a0a0a0a0a0a0a" {
		t.Errorf("got %v, %v", got, err)
	}
	for text, want := range map[string]string{
		"":                             "holds no access token",
		"\nshort\n":                    "tokens:2: ",
		"0123456789abcdef a read x":    "want: TOKEN [TENANT [SCOPE,…]]",
		"0123456789abcdef a b":         "scope",
		"0123456789abcdef a read,":     "scope",
		"0123456789abcdef * submit":    "whole system",
		"sha256:0123456789abcdef a":    "64 hex digits",
		"0123456789abcdef NotATenant!": "tenant",
	} {
		if _, err := load(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "0123456789abcdef") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if got, err := LoadTokens(""); got != nil || err != nil {
		t.Errorf("no file: got %v, %v", got, err)
	}
}

func TestWhoseFaultAnImageIs(t *testing.T) {
	t.Parallel()
	for kind, want := range map[error]error{
		imagesync.ErrNotFound: api.ErrImageUnknown, imagesync.ErrInvalid: api.ErrImageUnknown,
		imagesync.ErrRefused: api.ErrImageForbidden, imagesync.ErrUnreachable: api.ErrRegistry,
	} {
		err := imageError(&imagesync.Error{Kind: kind, Reference: "x", Err: errors.New("because")})
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "because") {
			t.Errorf("%v: got %v", kind, err)
		}
	}
	ours := errors.New("disk full")
	if got := imageError(ours); got != ours {
		t.Errorf("got %v", got)
	}
}

func FuzzTokenFile(f *testing.F) {
	for _, seed := range []string{
		"# ours\n0123456789abcdef\n", "fedcba9876543210 alice admin", "sha256:" + strings.Repeat("0a", 32) + " * read,admin",
		"0123456789abcdef * submit", "sha256:xyz", "0123456789abcdef a ,,", "\x00\xff \u2028",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tokens, err := parseTokens("tokens", bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, token := range tokens {
			if !schemas.ValidTokenTenant(token.Tenant) || !schemas.ValidTokenID(token.ID) || len(token.Scopes) == 0 {
				t.Errorf("%q makes %+v", text, token.AccessToken)
			}
		}
	})
}
