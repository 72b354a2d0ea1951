package imagesync

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

// errGuarded is wrapped by the errors for requests that the guard refuses.
var errGuarded = errors.New("address not allowed")

// transports are the two ways to a registry. Which one is taken depends on the
// registry that the reference names, and never on where it redirects: a remote
// registry cannot send us to a service on this machine.
type transports struct {
	remote http.RoundTripper
	// loopback reaches this machine, also with plain HTTP; nil when not allowed.
	loopback http.RoundTripper
}

func newTransports(allowLoopback bool) *transports {
	remote := ssrf.New(ssrf.WithAnyPort(), ssrf.WithNetworks("tcp4", "tcp6"))
	t := &transports{remote: guardedTransport(remote, false)}
	if allowLoopback {
		local := ssrf.New(ssrf.WithAnyPort(), ssrf.WithNetworks("tcp4", "tcp6"),
			ssrf.WithAllowedV4Prefixes(netip.MustParsePrefix("127.0.0.0/8")),
			ssrf.WithAllowedV6Prefixes(netip.MustParsePrefix("::1/128")))
		t.loopback = guardedTransport(local, true)
	}
	return t
}

func guardedTransport(guardian *ssrf.Guardian, plainLoopback bool) http.RoundTripper {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: guardian.Safe}
	return &schemeGuard{
		plainLoopback: plainLoopback,
		// No proxy: behind one, the address that is dialled says nothing.
		next: &http.Transport{
			DialContext:           dialer.DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          16,
			MaxIdleConnsPerHost:   8,
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 30 * time.Second,
			ExpectContinueTimeout: time.Second,
			// A layer that is compressed must come as its digest says.
			DisableCompression: true,
		},
	}
}

// forRegistry returns the transport for the registry host:port of a reference.
func (t *transports) forRegistry(registry string) (http.RoundTripper, error) {
	if !isLoopback(registry) {
		return t.remote, nil
	}
	if t.loopback == nil {
		return nil, fmt.Errorf("%w: registry %s is on this machine, which the configuration does not allow", errGuarded, registry)
	}
	return t.loopback, nil
}

// isLoopback judges by name: localhost, or an address of the loopback network.
func isLoopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// schemeGuard refuses plain HTTP, also of a token realm or a redirect, except to
// this machine where that is allowed.
type schemeGuard struct {
	plainLoopback bool
	next          http.RoundTripper
}

func (g *schemeGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && (!g.plainLoopback || !isLoopback(r.URL.Host)) {
		return nil, fmt.Errorf("%w: %s://%s is not encrypted", errGuarded, r.URL.Scheme, r.URL.Host)
	}
	return g.next.RoundTrip(r)
}
