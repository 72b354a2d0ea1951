package imagesync

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/imagesync/imagetest"
)

func catalogPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/catalog.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestPageHasACatalog: the example in docs/catalog.md is one, and means what it seems to.
func TestPageHasACatalog(t *testing.T) {
	t.Parallel()
	_, rest, _ := strings.Cut(catalogPage(t), "```yaml\n")
	example, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/catalog.md shows no catalog")
	}
	dir := t.TempDir()
	tar := imagetest.Tar(t, imagetest.Entry{Name: "opt/wheels/a.whl", Body: "a"})
	for name, content := range map[string][]byte{"wheels.tar": tar, "catalog.yaml": []byte(example)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := LoadCatalog(filepath.Join(dir, "catalog.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	python, busybox := c.Images["python"], c.Images["busybox"]
	if !c.Only || busybox.Reference != "oci:"+dir+"/images/busybox" || len(python.Warmup) != 2 || *python.Pool != (PoolSize{Min: 1, Max: 4}) {
		t.Fatalf("only %v, busybox %+v, python %+v", c.Only, busybox, python)
	}
	first, second := python.Warmup[0], python.Warmup[1]
	if first.Timeout != 5*time.Minute || first.Files == nil || first.Files.Size != int64(len(tar)) ||
		second.Timeout != time.Minute || !slices.Equal(second.Env, []string{"OPENBLAS_NUM_THREADS=1"}) {
		t.Errorf("warm-up %+v", python.Warmup)
	}
	if len(busybox.Warmup) != 0 || busybox.Pool == nil || *busybox.Pool != (PoolSize{}) {
		t.Errorf("busybox %+v", busybox)
	}
}

// TestPageHasEveryKey holds the tables to the types, in their order.
func TestPageHasEveryKey(t *testing.T) {
	t.Parallel()
	page := catalogPage(t)
	for heading, typ := range map[string]reflect.Type{
		"Images": reflect.TypeFor[entryText](), "Warmup": reflect.TypeFor[warmupText](), "Pool": reflect.TypeFor[poolText](),
	} {
		_, section, _ := strings.Cut(page, "\n## "+heading+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		var have, want []string
		for line := range strings.Lines(section) {
			if row, found := strings.CutPrefix(line, "| `"); found {
				key, _, _ := strings.Cut(row, "`")
				have = append(have, key)
			}
		}
		for i := range typ.NumField() {
			want = append(want, typ.Field(i).Tag.Get("yaml"))
		}
		if !slices.Equal(have, want) {
			t.Errorf("%s: the page has %q, the type %q", heading, have, want)
		}
	}
}

// TestPageHasTheBounds holds the page's numbers to those that are checked.
func TestPageHasTheBounds(t *testing.T) {
	t.Parallel()
	page := catalogPage(t)
	for _, text := range []string{
		fmt.Sprintf("(#warmup), at most %d |", maxWarmups), fmt.Sprintf("arguments, at most %d,%03d;", maxWarmupWords/1000, maxWarmupWords%1000),
		fmt.Sprintf("at most %d KiB", maxWarmupText>>10), fmt.Sprintf("at most %d MiB", maxWarmupFiles>>20),
		fmt.Sprintf("`timeout` | `%.0fm` | `1ms` to `%.0fm`", defaultWarmupTime.Minutes(), maxWarmupTime.Minutes()),
		fmt.Sprintf("`min` to %d;", maxPool),
	} {
		if !strings.Contains(page, text) {
			t.Errorf("docs/catalog.md does not say %q", text)
		}
	}
}
