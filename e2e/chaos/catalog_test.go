package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/program-explorer/pe/imagesync/imagetest"
)

func tokenFile() string   { return filepath.Join(bin, "tokens") }
func catalogFile() string { return filepath.Join(bin, "catalog.yaml") }

// config is written once: tests run side by side.
var config sync.Once

// writeConfig makes the tokens of all tenants, and a catalog of an image that
// nobody looks into and, where it is at hand, of busybox.
func writeConfig(t *testing.T) {
	t.Helper()
	config.Do(func() { writeFiles(t) })
}

func writeFiles(t *testing.T) {
	t.Helper()
	var tokens strings.Builder
	for tenant, token := range tenants {
		fmt.Fprintf(&tokens, "%s %s\n", token, tenant)
	}
	fmt.Fprintf(&tokens, "%s * admin\n", operator)
	nothing := filepath.Join(bin, "nothing")
	imagetest.Layout(t, nothing, imagetest.Index(t, imagetest.Image(t, runtime.GOARCH, v1.Config{Cmd: []string{"nothing"}})))
	catalog := fmt.Sprintf("images:\n  nothing: {reference: %q}\n", "oci:"+nothing)
	if path := cached("images", "busybox"); path != "" {
		catalog += fmt.Sprintf("  busybox: {reference: %q}\n", "oci:"+path)
	}
	for path, text := range map[string]string{tokenFile(): tokens.String(), catalogFile(): catalog} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// cached is a path in the cache of what deploy/setup.sh fetched and built; empty if it is not there.
func cached(elem ...string) string {
	dir := os.Getenv("PE_CACHE")
	if dir == "" {
		dir = filepath.Join("..", "..", ".cache")
	}
	path, err := filepath.Abs(filepath.Join(append([]string{dir}, elem...)...))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
