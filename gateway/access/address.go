package access

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the addresses of reverse proxies, whose word is taken for where a
// request came from.
type Proxies []netip.Prefix

// ParseProxies reads addresses and networks: 10.0.0.0/8, fd00::/8, 192.0.2.7.
func ParseProxies(texts []string) (Proxies, error) {
	var proxies Proxies
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil && addr.Zone() == "" {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("proxy %.60q: want an address or a network such as 10.0.0.0/8", text)
		}
		proxies = append(proxies, prefix.Masked())
	}
	return proxies, nil
}

func (p Proxies) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// maxHops bounds how many addresses of a header are looked at.
const maxHops = 32

// Client is the address that a request came from: that of the connection, or,
// if that is a proxy's, the right-most one that is no proxy's of those that
// proxies wrote down. Everything to the left of it is what a client says of
// itself, and worth nothing.
//
// A proxy adds to one of the two headers and passes the other on as the client
// sent it. We don't know which, so where they disagree neither counts.
func (p Proxies) Client(r *http.Request) netip.Addr {
	peer := addrOf(r.RemoteAddr) // invalid if it is no IP address
	if !p.trusts(peer) {
		return peer
	}
	lists, given := r.Header.Values("X-Forwarded-For"), r.Header.Values("Forwarded")
	byList := p.walk(peer, splitList(lists))
	byField := p.walk(peer, forwardedFor(given))
	switch {
	case len(given) == 0:
		return byList
	case len(lists) == 0, byList == byField:
		return byField
	}
	return peer
}

// walk goes from the peer along the hops, the nearest last, as long as they are proxies.
func (p Proxies) walk(at netip.Addr, hops []string) netip.Addr {
	for n := 0; n < maxHops && n < len(hops) && p.trusts(at); n++ {
		next := addrOf(hops[len(hops)-1-n])
		if !next.IsValid() {
			return at
		}
		at = next
	}
	return at
}

func splitList(lines []string) (hops []string) {
	for _, line := range lines {
		for hop := range strings.SplitSeq(line, ",") {
			hops = append(hops, strings.TrimSpace(hop))
		}
	}
	return hops
}

// forwardedFor is what the for= parameters of a Forwarded header say (RFC
// 7239), one for each hop, "" where there is none. What is not written plainly
// says nothing at all: a quote that a client left open would swallow what a proxy added.
func forwardedFor(lines []string) (hops []string) {
	for _, line := range lines {
		if strings.Count(line, `"`)%2 != 0 || strings.Contains(line, `\`) {
			return nil
		}
		for element := range strings.SplitSeq(line, ",") {
			hop := ""
			for pair := range strings.SplitSeq(element, ";") {
				name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
				if strings.EqualFold(name, "for") {
					hop = strings.Trim(value, `"`)
				}
			}
			hops = append(hops, hop)
		}
	}
	return hops
}

// addrOf reads an address with or without a port and brackets; invalid if it is none.
func addrOf(text string) netip.Addr {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return plain(withPort.Addr())
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		return netip.Addr{}
	}
	return plain(addr)
}

func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// networkOf is what counts as one client: an IPv4 address, or the /64 network
// of an IPv6 one, within which anybody may choose addresses at will.
func networkOf(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	network, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // all that have no address together
	}
	return network
}
