package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
)

// statusGone is what logs and metrics show of a request whose client left.
const statusGone = 499

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := a.mux.Handler(r); pattern == "" || !cleanPath(r.URL.EscapedPath()) {
		a.exchange(route{pattern: "unmatched", serve: a.unmatched, public: true}, w, r)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// exchange runs one request through the checks that all routes share, then its handler.
func (a *API) exchange(rt route, w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	answer := &answer{ResponseWriter: w}
	a.metrics.begin()
	defer func() {
		a.metrics.end(rt.pattern, r.Method, answer.status, time.Since(start))
		// The path alone: a query may hold what is not for logs.
		a.Log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("method", r.Method), slog.String("path", clip(r.URL.Path)),
			slog.Int("status", answer.status), slog.Int64("bytes", answer.bytes), slog.Duration("took", time.Since(start)))
	}()
	err := a.guarded(rt, answer, r)
	if err == nil {
		return
	}
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		answer.status = statusGone
		return
	}
	a.fail(rt, answer, r, err)
}

// fail sends err as a problem, and logs it once if it is our fault.
func (a *API) fail(rt route, w *answer, r *http.Request, err error) {
	w.finish()
	if w.broken {
		a.Log.Debug("client dropped", "route", rt.pattern, "err", err) // it left, or takes nothing
		panic(http.ErrAbortHandler)
	}
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError && a.Jobs.Ready() != nil {
		// Whatever it was, it is for the time being.
		a.Log.Warn("request failed while the gateway is not ready", "route", rt.pattern, "err", err)
		p = kindUnavailable.problem("the gateway has no connection to its queue, or has just started", "try again in a moment")
	}
	if p.Status == http.StatusInternalServerError {
		a.Log.Error("request failed", "method", r.Method, "route", rt.pattern, "path", clip(r.URL.Path), "err", err)
	}
	if w.status != 0 {
		// The answer has begun: only a broken connection tells the client that it is not whole.
		a.Log.Debug("answer broken off", "route", rt.pattern, "err", err)
		panic(http.ErrAbortHandler)
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="program-explorer"`)
	}
	var full *coordinator.FullError
	if errors.As(err, &full) && p.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", strconv.FormatInt(int64(math.Ceil(full.After.Seconds())), 10))
	}
	writeProblem(w, p)
}

// guarded checks who asks, from where and with what body, then serves. A panic
// of a handler is an internal error of this one request.
func (a *API) guarded(rt route, w *answer, r *http.Request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	w.Header().Set("Vary", "Accept, Authorization, Origin")
	caller, err := a.enter(rt, w, r)
	if err != nil {
		return err
	}
	ctx, leave := caller.Attend(context.WithValue(r.Context(), callerKey{}, caller))
	defer leave()
	r, w.attended = r.WithContext(ctx), ctx
	if err := a.serve(rt, w, r, caller.Tenant); err != nil {
		return turnedOut(ctx, err)
	}
	return nil
}

// serve looks at the body, and leaves the rest to the route.
func (a *API) serve(rt route, w *answer, r *http.Request, tenant string) error {
	if err := checkBody(rt, w, r); err != nil {
		return err
	}
	return rt.serve(w, r, tenant)
}

// checkBody caps the body and looks at how it is declared.
func checkBody(rt route, w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength > rt.body {
		return kindTooLarge.problemf("the body has %d bytes; at most %d are taken here", r.ContentLength, rt.body)
	}
	r.Body = &attendedBody{ReadCloser: http.MaxBytesReader(w, r.Body, rt.body), ctx: r.Context()}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return kindMediaType.problem("Content-Encoding "+strconv.QuoteToASCII(clip(coding))+" is not supported", "send the body as it is")
	}
	if !rt.json {
		return nil
	}
	// A page of another site may post a form without being asked, but not JSON.
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return kindMediaType.problem("Content-Type "+strconv.QuoteToASCII(clip(r.Header.Get("Content-Type")))+" is not application/json",
			"send the header Content-Type: application/json")
	}
	return nil
}

// unmatched says in a problem document what the mux says in plain text: no
// such path, another method, or a path that is not in its clean form.
func (a *API) unmatched(w http.ResponseWriter, r *http.Request, _ string) error {
	probe := &headerProbe{header: http.Header{}}
	h, _ := a.mux.Handler(r)
	h.ServeHTTP(probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		allow := probe.header.Get("Allow")
		w.Header().Set("Allow", allow)
		return kindMethod.problem("allowed here: "+allow, "")
	}
	return kindNotFound.problem("no such path: "+strconv.QuoteToASCII(clip(r.URL.Path)), "GET /openapi.json lists what there is")
}

// headerProbe keeps status and headers of an answer and drops the rest.
type headerProbe struct {
	header http.Header
	status int
}

func (p *headerProbe) Header() http.Header         { return p.header }
func (p *headerProbe) WriteHeader(status int)      { p.status = status }
func (p *headerProbe) Write(b []byte) (int, error) { return len(b), nil }

// answer notes what was sent.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
	broken bool // the connection takes no more
	// attended ends when the client may be sent no more; nil for no such end.
	attended context.Context
}

func (w *answer) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *answer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if w.attended != nil && w.attended.Err() != nil {
		return 0, context.Cause(w.attended)
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	w.broken = w.broken || err != nil && !errors.Is(err, http.ErrContentLength)
	return n, err
}

// finish lets the answer be sent whatever became of the token meanwhile: one
// that revokes itself is told so.
func (w *answer) finish() { w.attended = nil }

// Unwrap lets http.ResponseController reach the connection.
func (w *answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
