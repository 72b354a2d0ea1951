package api

import (
	"io"
	"net/http"
	"time"
)

// pace moves a connection's deadline along with its data, so a large body may
// take its time while a stalled one is dropped. Moving it costs system calls:
// it is done a few times per stall, not for every piece.
type pace struct {
	w     http.ResponseWriter
	stall time.Duration
	next  time.Time
}

func (p *pace) step() {
	if now := time.Now(); now.After(p.next) {
		stretch(p.w, p.stall)
		p.next = now.Add(p.stall / 4)
	}
}

// minRate is how many bytes a second a body must have on average, once it has been
// waited for as long as one may stall: else a client that sends a byte now and
// then would have its connection, and what stores its body, for ever.
const minRate = 8 << 10

// steadyReader reads a request's body at a pace.
type steadyReader struct {
	pace
	r      io.Reader
	read   int64
	waited time.Duration // for the client alone: a slow store is not its fault
}

func newSteadyReader(w http.ResponseWriter, r io.Reader, stall time.Duration) *steadyReader {
	return &steadyReader{pace: pace{w: w, stall: stall}, r: r}
}

func (s *steadyReader) Read(p []byte) (int, error) {
	s.step()
	begun := time.Now()
	n, err := s.r.Read(p)
	s.read, s.waited = s.read+int64(n), s.waited+time.Since(begun)
	if err == nil && s.waited > s.stall && float64(s.read) < minRate*(s.waited-s.stall).Seconds() {
		err = kindTooSlow.problemf("%d bytes in %s; at least %d a second are wanted", s.read, s.waited.Round(time.Second), minRate)
	}
	return n, err
}

// steadyWriter writes an answer at a pace.
type steadyWriter struct {
	pace
}

func newSteadyWriter(w http.ResponseWriter, stall time.Duration) *steadyWriter {
	return &steadyWriter{pace: pace{w: w, stall: stall}}
}

func (s *steadyWriter) Header() http.Header         { return s.w.Header() }
func (s *steadyWriter) WriteHeader(status int)      { s.w.WriteHeader(status) }
func (s *steadyWriter) Unwrap() http.ResponseWriter { return s.w }

// Write sends p in pieces, as one deadline would not do for all of a large answer.
func (s *steadyWriter) Write(p []byte) (sent int, err error) {
	for {
		s.step()
		piece := p[sent:min(len(p), sent+steadyPiece)]
		n, err := s.w.Write(piece)
		if sent += n; err != nil || sent == len(p) {
			return sent, err
		}
	}
}

const steadyPiece = 256 << 10

// signedObjects serves the directory store's signed URLs. The signature in the
// URL is their whole authority: an executor has no token, and no browser has a
// signature. The store itself bounds the body by the signed size.
func (a *API) signedObjects(objects http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, sent := time.Now(), &answer{ResponseWriter: w}
		a.metrics.begin()
		defer func() { a.metrics.end(objectsPrefix, r.Method, sent.status, time.Since(start)) }()
		paced := newSteadyWriter(sent, a.StallTimeout)
		r.Body = &steadyBody{steadyReader: newSteadyReader(sent, r.Body, a.StallTimeout), Closer: r.Body}
		objects.ServeHTTP(paced, r)
	})
}

type steadyBody struct {
	*steadyReader
	io.Closer
}
