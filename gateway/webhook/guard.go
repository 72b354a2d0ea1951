package webhook

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/program-explorer/pe/schemas"
)

// ErrAddress: nothing is sent to this address.
var ErrAddress = errors.New("address not allowed")

// wireServer is public by its number, but inside of one cloud it is the
// platform's own service, which gives out credentials.
var wireServer = netip.MustParsePrefix("168.63.129.16/32")

// guard decides which addresses are sent to: the one that is dialled, whatever
// it was when somebody looked before.
type guard struct {
	allow  []netip.Prefix
	public *ssrf.Guardian
}

func newGuard(allow, deny []netip.Prefix) *guard {
	v4 := func(p netip.Prefix) bool { return p.Addr().Is4() }
	v6 := func(p netip.Prefix) bool { return p.Addr().Is6() }
	without := func(all []netip.Prefix, f func(netip.Prefix) bool) []netip.Prefix {
		return slices.DeleteFunc(slices.Clone(all), f)
	}
	return &guard{allow: allow, public: ssrf.New(
		ssrf.WithAnyPort(), ssrf.WithNetworks("tcp4", "tcp6"),
		ssrf.WithAllowedV4Prefixes(without(allow, v6)...), ssrf.WithAllowedV6Prefixes(without(allow, v4)...),
		ssrf.WithDeniedV4Prefixes(append(without(deny, v6), wireServer)...), ssrf.WithDeniedV6Prefixes(without(deny, v4)...),
	)}
}

// checkURL says early what dialling would: of a name it can't.
func (g *guard) checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("%w: it cannot be read", ErrAddress)
	}
	if u.Scheme != "https" && len(g.allow) == 0 {
		return fmt.Errorf("%w: it is not https", ErrAddress)
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return nil
	}
	return g.check(u.Scheme, addr.Unmap()) // as it is dialled
}

// check looks at an address. Plain HTTP goes to allowed ranges alone.
func (g *guard) check(scheme string, addr netip.Addr) error {
	if scheme != "https" && !slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return fmt.Errorf("%w: %s may not be sent to without https", ErrAddress, addr)
	}
	if g.public.SafeAddr(addr) != nil {
		return fmt.Errorf("%w: %s is not public", ErrAddress, addr)
	}
	return nil
}

// control is asked by the dialler for every address, once it is resolved.
func (g *guard) control(scheme string) func(network, address string, _ syscall.RawConn) error {
	return func(network, address string, conn syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %s", ErrAddress, network)
		}
		if err := g.check(scheme, at.Addr()); err != nil {
			return err
		}
		return g.public.Safe(network, address, conn)
	}
}

// roundTripper sends requests of one scheme, straight to the receiver: behind a
// proxy, the address that is dialled says nothing.
func (g *guard) roundTripper(scheme string, c Config) http.RoundTripper {
	dialer := &net.Dialer{Timeout: c.Timeout, Resolver: c.Resolver, Control: g.control(scheme)}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           c.Overall,
		MaxIdleConnsPerHost:    c.PerWebhook,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 16 << 10,
	}
}

// CheckURL says whether an address can be sent to, as far as its text tells; [ErrAddress].
func (o *Outbox) CheckURL(text string) error {
	if len(text) > schemas.MaxURLBytes {
		return fmt.Errorf("%w: it is longer than %d bytes", ErrAddress, schemas.MaxURLBytes)
	}
	return o.guard.checkURL(text)
}
