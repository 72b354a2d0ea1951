package natsconf_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"

	"github.com/program-explorer/pe/internal/jobqueue/natsconf"
)

func key(t *testing.T, path string) string {
	t.Helper()
	public, err := natsconf.UserKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func TestUserKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cellar.nk")
	first := key(t, path)
	if again := key(t, path); again != first {
		t.Errorf("the same file gives %s and %s", first, again)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the seed's file has mode %o", info.Mode().Perm())
	}
	account, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := account.Seed()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"nothing": "", "words": "no seed at all", "an account's": string(seed)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if public, err := natsconf.UserKey(path); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: %q, %v", name, public, err)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := key(t, filepath.Join(dir, "1")), key(t, filepath.Join(dir, "2"))
	gateway := []natsconf.User{{Name: "main", Key: one}}
	for what, c := range map[string]natsconf.Config{
		"no gateway":        {Executors: []natsconf.User{{Name: "cellar", Key: one}}},
		"a name of subject": {Gateways: gateway, Executors: []natsconf.User{{Name: "*", Key: two}}},
		"two tokens":        {Gateways: gateway, Executors: []natsconf.User{{Name: "a.b", Key: two}}},
		"no name":           {Gateways: gateway, Executors: []natsconf.User{{Key: two}}},
		"no key":            {Gateways: gateway, Executors: []natsconf.User{{Name: "cellar"}}},
		"more than a key":   {Gateways: gateway, Executors: []natsconf.User{{Name: "cellar", Key: two + " }"}}},
		"one key for two":   {Gateways: gateway, Executors: []natsconf.User{{Name: "cellar", Key: one}}},
		"one name for two":  {Gateways: gateway, Executors: []natsconf.User{{Name: "main", Key: two}}},
		"half of TLS":       {Gateways: gateway, TLSCert: "cert.pem"},
	} {
		var out bytes.Buffer
		if err := natsconf.Write(&out, c); err == nil || out.Len() > 0 {
			t.Errorf("%s: %v, and wrote %d bytes", what, err, out.Len())
		}
	}
	if err := natsconf.WriteUsers(&bytes.Buffer{}, natsconf.Config{}); err == nil {
		t.Error("a list of no users was written")
	}
}
