package api

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// checkLocal guards a gateway that needs no token: whoever reaches it may use
// it, so a browser on the same machine must not be made to reach it by a
// foreign page.
//
// A page whose name was rebound to 127.0.0.1 still sends its own name as Host;
// a cross-site request carries an Origin or a Sec-Fetch-Site that is not ours.
// A proxy on this machine may carry the whole world's requests to us, under our
// own name: what says that it was forwarded is refused, too. So is HTTP/1.0, which
// nginx's proxy_pass speaks when it is told nothing else, and then it adds no
// header; no other client that is in use does. Asking how the gateway is may be
// done in any version.
//
// Any port is fine in Host, as the API may be reached through a tunnel, but
// Origin must be the very address that was asked.
func checkLocal(r *http.Request, public bool) error {
	for _, name := range forwardedHeaders {
		if _, ok := r.Header[name]; ok {
			return kindForbidden.problem("the request came through a proxy: it has the header "+name, proxyHint)
		}
	}
	if !public && !r.ProtoAtLeast(1, 1) {
		return kindForbidden.problem("the request is made in "+clip(r.Proto)+", as proxies do", proxyHint)
	}
	if !loopbackHost(r.Host) {
		return kindForbidden.problem("Host "+strconv.QuoteToASCII(clip(r.Host))+" is not a name of this machine's loopback interface",
			"without access tokens the API answers only to localhost and 127.0.0.1")
	}
	for _, origin := range r.Header.Values("Origin") {
		if !sameOrigin(origin, r) {
			return kindForbidden.problem("the request comes from a page of "+strconv.QuoteToASCII(clip(origin)),
				"without access tokens only pages of the API itself may use it")
		}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); !safeMethod(r.Method) && site != "" && site != "same-origin" && site != "none" {
		return kindForbidden.problem("the request comes from a page of another site",
			"without access tokens only pages of the API itself may use it")
	}
	return nil
}

const proxyHint = "make an access token: behind a proxy everybody needs one (docs/access.md)"

// forwardedHeaders are what proxies add to a request, in their canonical form.
var forwardedHeaders = []string{
	"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip",
	"Cf-Connecting-Ip", "True-Client-Ip", "X-Envoy-External-Address",
}

// sameOrigin compares with what the browser asked, scheme, host and port.
func sameOrigin(origin string, r *http.Request) bool {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return strings.EqualFold(origin, scheme+"://"+r.Host)
}

// loopbackHost reports whether a Host header, with or without a port, names
// the loopback interface: localhost, a name below it, or an address.
func loopbackHost(host string) bool {
	name := host
	if h, port, err := net.SplitHostPort(host); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
		name = h
	} else if inner, ok := strings.CutPrefix(host, "["); ok {
		if name, ok = strings.CutSuffix(inner, "]"); !ok {
			return false
		}
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Zone() == "" && addr.Unmap().IsLoopback()
}

func safeMethod(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// clip bounds what a problem document repeats of a request.
func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}
