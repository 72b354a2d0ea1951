package dir

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/program-explorer/pe/internal/objstore"
)

// Handler serves the signed URLs. Mount it under the path of Config.BaseURL
// with http.StripPrefix, so that it sees "/<key>" or "<key>".
//
// The signature is the only authority here: no token, no cookie. Objects are
// made by jobs and are hostile, so a browser may not run or frame them.
func (s *Store) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
		h.Set("Content-Disposition", "attachment")
		h.Set("Cache-Control", "no-store")
		key := strings.TrimPrefix(r.URL.Path, "/")
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet // whoever may read may ask for the size
		}
		if method != http.MethodGet && method != http.MethodPut {
			h.Set("Allow", "GET, HEAD, PUT")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		g, err := s.verify(method, key, r.URL.Query())
		if err == nil && g.method == http.MethodPut {
			err = s.servePut(r, g)
		} else if err == nil {
			err = s.serveGet(w, r, g)
		}
		if err != nil {
			http.Error(w, publicText(err), statusOf(err))
		}
	})
}

var errLength = errors.New("content length is missing or not the signed one")

func (s *Store) servePut(r *http.Request, g grant) error {
	if r.ContentLength != g.size {
		return errLength
	}
	_, err := s.Put(r.Context(), g.key, r.Body, objstore.PutOptions{
		Size: g.size, SHA256: g.sha256, IfAbsent: g.ifAbsent, ContentType: contentTypeOf(r),
	})
	return err
}

// contentTypeOf keeps a type that can be stored and drops any other.
func contentTypeOf(r *http.Request) string {
	t := r.Header.Get("Content-Type")
	if _, err := (objstore.PutOptions{ContentType: t}).Check(); err != nil {
		return ""
	}
	return t
}

func (s *Store) serveGet(w http.ResponseWriter, r *http.Request, g grant) error {
	f, info, err := s.openObject(g.key)
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", info.ContentType)
	w.Header().Set("ETag", `"`+info.SHA256+`"`)
	http.ServeContent(w, r, "", info.ModTime, io.NewSectionReader(f, 0, info.Size))
	return nil
}

// statusOf answers as S3 servers do, so that a client need not know which it talks to.
func statusOf(err error) int {
	for _, c := range []struct {
		err    error
		status int
	}{
		{errSignature, http.StatusForbidden},
		{errExpired, http.StatusForbidden},
		{errLength, http.StatusBadRequest},
		{objstore.ErrKey, http.StatusBadRequest},
		{objstore.ErrDigest, http.StatusBadRequest},
		{objstore.ErrSize, http.StatusBadRequest},
		{io.ErrUnexpectedEOF, http.StatusBadRequest}, // the body ended early
		{objstore.ErrNotFound, http.StatusNotFound},
		{objstore.ErrExists, http.StatusPreconditionFailed},
		{objstore.ErrFull, http.StatusInsufficientStorage},
	} {
		if errors.Is(err, c.err) {
			return c.status
		}
	}
	return http.StatusInternalServerError
}

// publicText hides what is inside of an unexpected error: it may hold paths.
func publicText(err error) string {
	status := statusOf(err)
	if status == http.StatusInternalServerError || status == http.StatusInsufficientStorage {
		return http.StatusText(status)
	}
	return err.Error()
}
