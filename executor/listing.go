package executor

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/program-explorer/pe/internal/archive/atrest"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// maxListing bounds the outputs that a result lists, in bytes of JSON: names of
// 4 KiB that are not UTF-8 would else exceed schemas.MaxResultBytes.
const maxListing = 2 << 20

// list copies the beginning of the index into the result.
func (c *collected) list(index atrest.Index) error {
	r := &c.result
	r.OutputsTotal, r.OutputsBytes = len(index.Entries), index.Bytes
	files := newFiles(index)
	room := maxListing
	for _, e := range index.Entries[:min(len(index.Entries), schemas.MaxListedOutputs)] {
		o := files.output(e)
		text, err := json.Marshal(o)
		if err != nil {
			return fmt.Errorf("list outputs: %w", err)
		}
		if room -= len(text); room < 0 {
			break
		}
		r.Outputs = append(r.Outputs, o)
	}
	c.skipped(index.SkippedTotal)
	for _, s := range index.Skipped {
		r.Skipped = append(r.Skipped, schemas.Skipped{Path: s.Path, Reason: s.Reason})
	}
	return nil
}

// files finds what hard links share: to a user they are files like any other.
type files map[string]*atrest.Entry

func newFiles(index atrest.Index) files {
	f := files{}
	for i := range index.Entries[:min(len(index.Entries), schemas.MaxListedOutputs)] {
		if e := &index.Entries[i]; e.Type == atrest.TypeFile {
			f[e.Name()] = e
		}
	}
	return f
}

func (f files) output(e atrest.Entry) schemas.Output {
	o := schemas.Output{
		Path: e.Path, PathBase64: e.PathBase64, Type: e.Type, Size: e.Size, Mode: fmt.Sprintf("%04o", e.Mode),
		SHA256: e.SHA256, MediaType: e.MediaType, Link: e.Link,
	}
	if e.Type == atrest.TypeHardlink {
		o.Type, o.Link = atrest.TypeFile, ""
		// An archive has a link after its file, so whatever is listed is found.
		if shared := f[e.Target()]; shared != nil {
			o.Size, o.SHA256, o.MediaType = shared.Size, shared.SHA256, shared.MediaType
		}
	}
	return o
}

// skippedByGuest notes what the guest found under /output and can't be an
// output. The guest may be anybody's by now.
func (c *collected) skippedByGuest(packed guestproto.Collected) {
	c.skipped(int(min(max(packed.Skipped, int64(len(packed.SkippedPaths))), math.MaxInt32)))
	for _, remark := range packed.SkippedPaths {
		c.result.Skipped = append(c.result.Skipped, parseSkipped(remark))
	}
}

func (c *collected) skipped(n int) { c.result.SkippedTotal += n }

// parseSkipped takes a guest's remark apart: a quoted path, a colon, a reason.
func parseSkipped(remark string) schemas.Skipped {
	s := schemas.Skipped{Path: oneLine(remark, maxMessage), Reason: "can't be an output"}
	quoted, err := strconv.QuotedPrefix(remark)
	if err != nil {
		return s
	}
	if path, err := strconv.Unquote(quoted); err == nil {
		s.Path = strings.ToValidUTF8(path, "\uFFFD")
	}
	if reason := strings.TrimPrefix(remark[len(quoted):], ": "); reason != "" {
		s.Reason = oneLine(reason, maxMessage)
	}
	return s
}
