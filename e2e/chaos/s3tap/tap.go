// Package s3tap stands between the system and its S3 service. It sees each
// request and asks a test what becomes of it: refused with a status, slow, cut
// before it arrives or after it was carried out.
package s3tap

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// Request is one that passes the tap.
type Request struct {
	Method string
	// Key of the object, without the bucket; empty for requests of the bucket.
	Key string
	// Signed says that it was signed for somebody else by its URL, as executors' requests are.
	Signed bool
}

// Fate is what becomes of a request; the zero value hands it on.
type Fate struct {
	// Wait before anything else.
	Wait time.Duration
	// Status, if not 0, is answered in place of the service.
	Status int
	// Cut ends the connection before the request arrives, Lose after it was
	// carried out, in place of the answer.
	Cut, Lose bool
}

// A Judge says what becomes of a request. It may take its time.
type Judge func(Request) Fate

// Tap is a listener that stands for an S3 service.
type Tap struct {
	server *http.Server
	addr   string
	done   chan struct{}
}

// Start listens on loopback for requests to target, host:port.
func Start(target string, judge Judge) (*Tap, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("tap of %s: %w", target, err)
	}
	quiet := log.New(io.Discard, "", 0)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target})
			r.Out.Host = r.In.Host // it is part of what was signed
		},
		ModifyResponse: lose,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:       quiet,
	}
	t := &Tap{addr: l.Addr().String(), done: make(chan struct{})}
	t.server = &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve(proxy, judge(requestOf(r)), w, r)
	})}
	go func() {
		defer close(t.done)
		_ = t.server.Serve(l) // Close ends it
	}()
	return t, nil
}

// Addr is host:port of the tap.
func (t *Tap) Addr() string { return t.addr }

// Close ends it and all connections.
func (t *Tap) Close() error {
	err := t.server.Close()
	<-t.done
	return err
}

func requestOf(r *http.Request) Request {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return Request{Method: r.Method, Key: key, Signed: r.URL.Query().Has("X-Amz-Signature")}
}

// loseHeader marks, between serve and lose, a request whose answer gets lost.
const loseHeader = "X-Tap-Lose"

func serve(proxy http.Handler, fate Fate, w http.ResponseWriter, r *http.Request) {
	if fate.Wait > 0 {
		select {
		case <-time.After(fate.Wait):
		case <-r.Context().Done():
		}
	}
	switch {
	case fate.Cut:
		panic(http.ErrAbortHandler)
	case fate.Status != 0:
		w.WriteHeader(fate.Status)
		return
	case fate.Lose:
		r.Header.Set(loseHeader, "1")
	}
	proxy.ServeHTTP(w, r)
}

var errLost = errors.New("lost on purpose")

func lose(answer *http.Response) error {
	if answer.Request.Header.Get(loseHeader) != "" {
		return errLost
	}
	return nil
}
