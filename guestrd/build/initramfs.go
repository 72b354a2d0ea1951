package build

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"
)

// initramfs writes the archive: guestrd as /init, the modules, and the list of them that
// guestrd follows. It is not compressed: the kernel unpacks it faster that way, and it is small.
func initramfs(guestrd []byte, modules []module) ([]byte, error) {
	records := []cpio.Record{
		cpio.Directory("dev", 0o755),
		cpio.CharDev("dev/console", 0o600, 5, 1),
		cpio.StaticFile("init", string(guestrd), 0o755),
		cpio.Directory("modules", 0o755),
	}
	var list strings.Builder
	for _, m := range modules {
		path := "modules/" + m.name + ".ko"
		records = append(records, cpio.StaticFile(path, string(m.content), 0o644))
		fmt.Fprintf(&list, "/%s\n", path)
	}
	records = append(records, cpio.StaticFile("modules/load", list.String(), 0o644))
	var out bytes.Buffer
	w := cpio.Newc.Writer(&out)
	for i, r := range records {
		r = cpio.MakeReproducible(r)
		r.Ino = uint64(i + 1)
		if err := w.WriteRecord(r); err != nil {
			return nil, fmt.Errorf("write initramfs: %s: %w", r.Name, err)
		}
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return nil, fmt.Errorf("write initramfs: %w", err)
	}
	return out.Bytes(), nil
}
