package powercut

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/u-root/u-root/pkg/cpio"

	"github.com/program-explorer/pe/imagesync/imagetest"
)

// orders are guest.Orders, as the machine reads them.
type orders struct {
	Commands [][]string `json:"commands"`
	Unsynced string     `json:"unsynced"`
}

const (
	token   = "power-cut-test-token-of-32-bytes"
	catalog = "images:\n  nothing:\n    reference: oci:/image\n"
	nats    = "port: 4222\nhost: 127.0.0.1\njetstream { store_dir: /data/nats }\n"
)

// modules that the machine needs and its kernel may not have built in.
var modules = []string{"virtio_pci", "virtio_blk", "virtio_net"}

// initramfs makes the machine's first file system, with all that it runs.
func initramfs(t *testing.T, o orders) []byte {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	records := []cpio.Record{
		cpio.Directory("dev", 0o755), cpio.CharDev("dev/console", 0o600, 5, 1),
		cpio.StaticFile("orders.json", string(text), 0o644),
		cpio.StaticFile("tokens", token+"\n", 0o600),
		cpio.StaticFile("catalog.yaml", catalog, 0o644),
		cpio.StaticFile("nats.conf", nats, 0o644),
	}
	for name, program := range map[string]string{"init": "guest", "ped": "ped", "nats-server": "nats-server"} {
		records = append(records, cpio.StaticFile(name, read(t, programs.Path(program)), 0o755))
	}
	records = append(records, moduleFiles(t)...)
	records = append(records, image(t)...)
	var out bytes.Buffer
	w := cpio.Newc.Writer(&out)
	if err := cpio.WriteRecords(w, records); err != nil {
		t.Fatal(err)
	}
	if err := cpio.WriteTrailer(w); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// image is an OCI layout of an image with nothing in it: nothing runs.
func image(t *testing.T) (records []cpio.Record) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	imagetest.Layout(t, dir, imagetest.Index(t, imagetest.Image(t, "amd64", v1.Config{})))
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name := "image" + strings.TrimPrefix(path, dir)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			records = append(records, cpio.Directory(name, 0o755))
		default:
			records = append(records, cpio.StaticFile(name, read(t, path), 0o644))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// kernelModules is the folder of the modules of the kernel's release.
func kernelModules(t *testing.T) string {
	t.Helper()
	return cache(t, "kernels/amd64/lib/modules/*")
}

// moduleFiles are the kernel's modules that are wanted and what they need, and
// the order in which to load them. One that is not listed is built in.
func moduleFiles(t *testing.T) []cpio.Record {
	t.Helper()
	dir := kernelModules(t)
	paths, needs := map[string]string{}, map[string][]string{}
	for line := range strings.Lines(read(t, filepath.Join(dir, "modules.dep"))) {
		path, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		name := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(path), ".ko"), "-", "_")
		paths[name] = path
		for need := range strings.FieldsSeq(rest) {
			needs[name] = append(needs[name], strings.ReplaceAll(strings.TrimSuffix(filepath.Base(need), ".ko"), "-", "_"))
		}
	}
	records := []cpio.Record{cpio.Directory("modules", 0o755)}
	var list strings.Builder
	loaded := map[string]bool{}
	var load func(string)
	load = func(name string) {
		if loaded[name] || paths[name] == "" {
			return
		}
		loaded[name] = true
		for _, need := range needs[name] {
			load(need)
		}
		file := "modules/" + name + ".ko"
		records = append(records, cpio.StaticFile(file, read(t, filepath.Join(dir, paths[name])), 0o644))
		fmt.Fprintf(&list, "/%s\n", file)
	}
	for _, name := range modules {
		load(name)
	}
	return append(records, cpio.StaticFile("modules/load", list.String(), 0o644))
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
