package roles

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/gateway/api"
	"github.com/program-explorer/pe/imagesync"
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
	got, err := load("# ours\n\n0123456789abcdef\nfedcba9876543210 alice\n")
	if err != nil || len(got) != 2 || got[0].Tenant != "local" || got[1].Tenant != "alice" {
		t.Errorf("got %v, %v", got, err)
	}
	for text, want := range map[string]string{
		"":                             "holds no access token",
		"\nshort\n":                    "tokens:2: ",
		"0123456789abcdef a b":         "want: TOKEN [TENANT]",
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
