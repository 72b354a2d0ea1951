package dir

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/program-explorer/pe/internal/objstore"
)

// grant is what a signed URL allows. All of it is in the URL, under the HMAC.
type grant struct {
	method   string // GET or PUT
	key      string
	expires  int64 // Unix seconds
	size     int64 // of a PUT
	sha256   string
	ifAbsent bool
}

// Names of the query parameters; those of the signature begin with pe-.
const (
	paramExpires  = "pe-expires"
	paramSize     = "pe-size"
	paramSHA256   = "pe-sha256"
	paramIfAbsent = "pe-if-absent"
	paramMAC      = "pe-signature"
)

var (
	errSignature = errors.New("signature does not match")
	errExpired   = errors.New("signed url has expired")
)

// SignPut implements objstore.Store.
func (s *Store) SignPut(_ context.Context, key string, o objstore.SignPutOptions) (objstore.SignedRequest, error) {
	life, err := o.Check()
	if err != nil {
		return objstore.SignedRequest{}, fmt.Errorf("sign put of %s: %w", key, err)
	}
	g := grant{method: http.MethodPut, key: key, size: o.Size, sha256: o.SHA256, ifAbsent: o.IfAbsent}
	h := http.Header{"Content-Length": {strconv.FormatInt(o.Size, 10)}}
	if o.IfAbsent {
		h.Set("If-None-Match", "*")
	}
	return s.sign(g, life, h)
}

// SignGet implements objstore.Store.
func (s *Store) SignGet(_ context.Context, key string, expires time.Duration) (objstore.SignedRequest, error) {
	life, err := objstore.CheckExpiry(expires)
	if err != nil {
		return objstore.SignedRequest{}, fmt.Errorf("sign get of %s: %w", key, err)
	}
	return s.sign(grant{method: http.MethodGet, key: key}, life, http.Header{})
}

func (s *Store) sign(g grant, life time.Duration, h http.Header) (objstore.SignedRequest, error) {
	if err := objstore.ValidateKey(g.key); err != nil {
		return objstore.SignedRequest{}, fmt.Errorf("sign url: %w", err)
	}
	if s.baseURL == nil || s.baseURL() == "" {
		return objstore.SignedRequest{}, fmt.Errorf("sign url of %s: base URL is not set", g.key)
	}
	g.expires = s.now().Add(life).Unix()
	q := g.query()
	q.Set(paramMAC, g.mac(s.key))
	u := strings.TrimSuffix(s.baseURL(), "/") + "/" + g.key + "?" + q.Encode()
	return objstore.SignedRequest{Method: g.method, URL: u, Header: h}, nil
}

func (g grant) query() url.Values {
	q := url.Values{paramExpires: {strconv.FormatInt(g.expires, 10)}}
	if g.method == http.MethodPut {
		q.Set(paramSize, strconv.FormatInt(g.size, 10))
		q.Set(paramSHA256, g.sha256)
		q.Set(paramIfAbsent, strconv.FormatBool(g.ifAbsent))
	}
	return q
}

// mac signs method, key and query; none of them can hold a newline.
func (g grant) mac(key []byte) string {
	m := hmac.New(sha256.New, key)
	fmt.Fprintf(m, "pe-object-url-1\n%s\n%s\n%s", g.method, g.key, g.query().Encode())
	return hex.EncodeToString(m.Sum(nil))
}

// verify reads the grant of a request for key and judges it.
func (s *Store) verify(method, key string, q url.Values) (grant, error) {
	g := grant{method: method, key: key, sha256: q.Get(paramSHA256), ifAbsent: q.Get(paramIfAbsent) == "true"}
	var err, err2 error
	g.expires, err = strconv.ParseInt(q.Get(paramExpires), 10, 64)
	if method == http.MethodPut {
		g.size, err2 = strconv.ParseInt(q.Get(paramSize), 10, 64)
	}
	if err != nil || err2 != nil || !hmac.Equal([]byte(q.Get(paramMAC)), []byte(g.mac(s.key))) {
		return grant{}, errSignature
	}
	if s.now().Unix() >= g.expires {
		return grant{}, errExpired
	}
	return g, nil
}

// signingKey is kept on disk, so that URLs in executors' hands outlive a restart.
func (s *Store) signingKey() ([]byte, error) {
	const name = "sign.key"
	key, err := s.root.ReadFile(name)
	if err == nil && len(key) == 32 {
		return key, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	key = make([]byte, 32)
	rand.Read(key)
	t, err := s.createTemp()
	if err != nil {
		return nil, err
	}
	defer t.discard()
	if _, err := t.f.Write(key); err != nil {
		return nil, err
	}
	if err := t.f.Sync(); err != nil {
		return nil, err
	}
	return key, t.rename(name, false)
}
