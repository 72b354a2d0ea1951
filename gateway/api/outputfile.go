package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/internal/archive/atrest"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// outputFile sends one file, or a part of it.
func (a *API) outputFile(w http.ResponseWriter, r *http.Request, tenant string) error {
	record, err := a.record(r, tenant)
	if err != nil {
		return err
	}
	return a.surely(r.Context(), record, a.sendFile(w, r, record, r.PathValue("path")))
}

func (a *API) sendFile(w http.ResponseWriter, r *http.Request, record schemas.Record, name string) error {
	archive, entry, err := a.findFile(r.Context(), record, name)
	if err != nil {
		return err
	}
	markHostile(w.Header(), path.Base(name), entry.MediaType)
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Set("ETag", `"`+strings.TrimPrefix(entry.SHA256, schemas.DigestPrefix)+`"`)
	content := &entryContent{ctx: r.Context(), turns: a.skips, size: entry.Size, open: func() (io.ReadCloser, error) {
		return a.openEntry(w, r, record.Tenant, archive, entry)
	}}
	defer content.Close()
	answer := &rangeAnswer{steadyWriter: newSteadyWriter(w, a.StallTimeout)}
	http.ServeContent(answer, oneRange(r), "", time.Time{}, content)
	if answer.refused {
		return kindRange.problem("Range "+strconv.QuoteToASCII(clip(r.Header.Get("Range")))+" selects nothing of "+
			strconv.FormatInt(entry.Size, 10)+" bytes", "")
	}
	if r.Context().Err() != nil {
		return r.Context().Err()
	}
	if content.err != nil {
		w.Header().Del("Content-Range")
		return content.err
	}
	answer.begin()
	return nil
}

// oneRange drops a request for several ranges, which may be answered with the
// whole (RFC 9110, section 14.2): each would decompress the file anew, and
// http.ServeContent reads them in a goroutine that may outlive the call.
func oneRange(r *http.Request) *http.Request {
	if !strings.Contains(r.Header.Get("Range"), ",") {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Del("Range")
	return r
}

// findFile finds a regular file, and the archive that has it.
func (a *API) findFile(ctx context.Context, record schemas.Record, name string) (storedObject, atrest.Entry, error) {
	outputs, index, err := a.archive(ctx, record)
	if err != nil {
		return storedObject{}, atrest.Entry{}, err
	}
	if outputs == nil {
		return storedObject{}, atrest.Entry{}, kindNotFound.problem("the job left no outputs", "")
	}
	e, err := index.file(record.ID, name)
	return outputs.archive, e, err
}

// file finds a regular file, and says of anything else what it is.
func (x *outputIndex) file(job, name string) (atrest.Entry, error) {
	list := "GET /v1/jobs/" + job + "/outputs with Accept: application/json lists them"
	shown := strconv.QuoteToASCII(clip(name))
	e, ok := x.find(strings.TrimSuffix(name, "/"))
	switch {
	case !ok:
		return e, kindNotFound.problem("the job left no output "+shown, list)
	case e.Type == atrest.TypeDir:
		return e, kindNotAFile.problem("output "+shown+" is a folder", list)
	case e.Type == atrest.TypeSymlink:
		return e, kindNotAFile.problem("output "+shown+" is a symbolic link to "+strconv.QuoteToASCII(clip(e.Link)), "ask for what it links to")
	case e.Type != atrest.TypeFile:
		return e, kindNotAFile.problem("output "+shown+" is a "+e.Type, list)
	}
	return e, nil
}

// openEntry reads one file's frame from the store; its content is held to its digest.
func (a *API) openEntry(w http.ResponseWriter, r *http.Request, tenant string, of storedObject, e atrest.Entry) (io.ReadCloser, error) {
	leave, err := a.answers.enter(r.Context(), w.Header(), tenant, decoderWeight)
	if err != nil {
		return nil, err
	}
	frame, err := a.objects.OpenPart(r.Context(), of.key, of.Object, objstore.Range{Offset: e.Offset, Length: e.Length})
	if err != nil {
		leave()
		return nil, err
	}
	content, err := atrest.OpenEntry(frame, e)
	if err != nil {
		leave()
		frame.Close()
		return nil, frame.Explain(err)
	}
	return &entryReader{Decoded: jobresult.Decoded{Content: frame, From: content}, entry: content, leave: leave}, nil
}

type entryReader struct {
	jobresult.Decoded
	entry io.Closer
	leave func()
}

func (e *entryReader) Close() error {
	defer e.leave()
	return errors.Join(e.entry.Close(), e.Content.Close())
}

// entryContent lets http.ServeContent seek in a compressed file: forwards by
// reading, backwards by beginning again.
type entryContent struct {
	ctx   context.Context
	turns chan struct{}
	open  func() (io.ReadCloser, error)
	size  int64
	from  io.ReadCloser // nil before the first read
	at    int64         // of from
	want  int64         // where the next read shall be
	err   error
}

func (c *entryContent) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.want
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 || offset > c.size {
		return 0, fmt.Errorf("seek to %d of %d", offset, c.size)
	}
	c.want = offset
	return offset, nil
}

func (c *entryContent) Read(p []byte) (n int, err error) {
	if c.err != nil {
		return 0, c.err
	}
	defer func() {
		if err != nil && !errors.Is(err, io.EOF) {
			c.err = err
		}
	}()
	if c.from == nil || c.at > c.want {
		c.Close()
		if c.from, err = c.open(); err != nil {
			c.from = nil
			return 0, err
		}
		c.at = 0
	}
	if err := c.skip(); err != nil {
		return 0, fmt.Errorf("skip to %d: %w", c.want, err)
	}
	n, err = c.from.Read(p)
	c.at += int64(n)
	c.want = c.at
	return n, err
}

const (
	// freeSkip is how much may be skipped without a turn; skipStep how much between
	// two looks at whether the client is still there.
	freeSkip = 16 << 20
	skipStep = 1 << 20
	// skipsAtOnce bounds the requests that skip more: of what compresses well, much is
	// decompressed from few bytes, and nothing is sent meanwhile.
	skipsAtOnce = 2
)

// skip reads on to where the next read shall be.
func (c *entryContent) skip() error {
	if c.want-c.at > freeSkip {
		select {
		case c.turns <- struct{}{}:
			defer func() { <-c.turns }()
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
	for c.at < c.want {
		skipped, err := io.CopyN(io.Discard, c.from, min(c.want-c.at, skipStep))
		if c.at += skipped; err != nil {
			return err
		}
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
	}
	return nil
}

// Close lets go of what is open; a later read opens it again.
func (c *entryContent) Close() error {
	if c.from == nil {
		return nil
	}
	err := c.from.Close()
	c.from = nil
	return err
}

// rangeAnswer holds back the plain text with which http.ServeContent refuses a
// range, and its header until there is something to send: a file that can't be
// read from its beginning is a problem of its own.
type rangeAnswer struct {
	*steadyWriter
	status  int // yet to be sent; 0 for none
	refused bool
}

func (a *rangeAnswer) WriteHeader(status int) {
	if a.refused = status == http.StatusRequestedRangeNotSatisfiable; !a.refused {
		a.status = status
	}
}

func (a *rangeAnswer) begin() {
	if a.status != 0 {
		a.steadyWriter.WriteHeader(a.status)
		a.status = 0
	}
}

func (a *rangeAnswer) Write(p []byte) (int, error) {
	if a.refused {
		return len(p), nil
	}
	a.begin()
	return a.steadyWriter.Write(p)
}
