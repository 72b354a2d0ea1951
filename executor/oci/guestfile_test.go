package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFindGuest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := FindGuest(dir, "amd64"); err == nil || !strings.Contains(err.Error(), "ped kernel add --arch amd64") {
		t.Errorf("none: %v", err)
	}
	add := func(release, manifest string, age time.Duration) string {
		at := filepath.Join(dir, "amd64", release)
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{"guestrd": release, "manifest.json": manifest} {
			if err := os.WriteFile(filepath.Join(at, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(filepath.Join(at, "manifest.json"), then, then); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(at, "guestrd")
	}
	named := func(release string) string {
		sum := sha256.Sum256([]byte(release))
		return `{"guestrd_sha256":"` + hex.EncodeToString(sum[:]) + `"}`
	}
	add("6.1", named("6.1"), 3*time.Hour)
	want := add("6.12", named("6.12"), 2*time.Hour)
	add("6.13", `{"arch":"amd64"}`, time.Hour) // made before bundles had it
	add(".new", named(".new"), 0)
	if got, err := FindGuest(dir, "amd64"); err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	add("6.14", named("another"), 0)
	if _, err := FindGuest(dir, "amd64"); err == nil || !strings.Contains(err.Error(), "6.14") {
		t.Errorf("changed: %v", err)
	}
}
