package access

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestWhereARequestCameFrom(t *testing.T) {
	t.Parallel()
	proxies, err := ParseProxies([]string{"10.0.0.0/8", "fd00::/8", "192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, peer string
		list       []string // X-Forwarded-For
		field      []string // Forwarded
		want       string
	}{
		{"nobody's word", "198.51.100.1:99", []string{"203.0.113.9"}, []string{"for=203.0.113.9"}, "198.51.100.1"},
		{"a proxy that says nothing", "10.1.1.1:99", nil, nil, "10.1.1.1"},
		{"one proxy", "10.1.1.1:99", []string{"203.0.113.9"}, nil, "203.0.113.9"},
		{"what the client says of itself", "10.1.1.1:99", []string{"127.0.0.1, 203.0.113.9"}, nil, "203.0.113.9"},
		{"a client that says a proxy's address", "10.1.1.1:99", []string{"10.2.2.2, 203.0.113.9"}, nil, "203.0.113.9"},
		{"two proxies", "10.1.1.1:99", []string{"1.2.3.4, 203.0.113.9, 10.3.3.3"}, nil, "203.0.113.9"},
		{"two proxies, a line each", "10.1.1.1:99", []string{"1.2.3.4,203.0.113.9", "192.0.2.7"}, nil, "203.0.113.9"},
		{"proxies alone", "10.1.1.1:99", []string{"10.3.3.3"}, nil, "10.3.3.3"},
		{"nonsense", "10.1.1.1:99", []string{"1.2.3.4, unknown"}, nil, "10.1.1.1"},
		{"nothing between commas", "10.1.1.1:99", []string{"1.2.3.4,"}, nil, "10.1.1.1"},
		{"with a port", "10.1.1.1:99", []string{"203.0.113.9:80"}, nil, "203.0.113.9"},
		{"IPv6", "[fd00::1]:99", []string{"2001:db8::1"}, nil, "2001:db8::1"},
		{"IPv6 with a port", "[fd00::1]:99", []string{"[2001:db8::1]:80"}, nil, "2001:db8::1"},
		{"IPv4 as IPv6", "[::ffff:10.1.1.1]:99", []string{"::ffff:203.0.113.9"}, nil, "203.0.113.9"},
		{"Forwarded", "10.1.1.1:99", nil, []string{`for=1.2.3.4, for=203.0.113.9;proto=https;by=10.1.1.1`}, "203.0.113.9"},
		{"Forwarded, quoted", "10.1.1.1:99", nil, []string{`proto=https;For="[2001:db8::1]:80"`}, "2001:db8::1"},
		{"Forwarded, hidden", "10.1.1.1:99", nil, []string{`for=1.2.3.4, for=_hidden`}, "10.1.1.1"},
		{"Forwarded without for", "10.1.1.1:99", nil, []string{`for=1.2.3.4, proto=http`}, "10.1.1.1"},
		{"a quote left open by the client", "10.1.1.1:99", nil, []string{`for="1.2.3.4, for=203.0.113.9`}, "10.1.1.1"},
		{"both agree", "10.1.1.1:99", []string{"203.0.113.9"}, []string{"for=203.0.113.9"}, "203.0.113.9"},
		{"both differ, so one is the client's own", "10.1.1.1:99", []string{"1.2.3.4"}, []string{"for=203.0.113.9"}, "10.1.1.1"},
		{"more hops than anybody has", "10.1.1.1:99", []string{"203.0.113.9" + strings.Repeat(",10.3.3.3", 1000)}, nil, "10.3.3.3"},
	}
	for _, c := range cases {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.list, "Forwarded": c.field}}
		if got := proxies.Client(r); got != netip.MustParseAddr(c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if got := proxies.Client(&http.Request{RemoteAddr: "@", Header: http.Header{"X-Forwarded-For": {"1.2.3.4"}}}); got.IsValid() {
		t.Errorf("a Unix socket's other end is %s", got)
	}
}

func TestProxiesMustBeNetworks(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "proxy.example", "10.0.0.0/99", "fe80::1%eth0", "10.0.0"} {
		if _, err := ParseProxies([]string{text}); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// Anybody has 2^64 IPv6 addresses, and one network.
func TestOneNetworkIsOneClient(t *testing.T) {
	t.Parallel()
	same := func(a, b string) bool { return networkOf(netip.MustParseAddr(a)) == networkOf(netip.MustParseAddr(b)) }
	if !same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9") || same("2001:db8:1:2::1", "2001:db8:1:3::1") || same("192.0.2.1", "192.0.2.2") {
		t.Error("networks are not told apart as they should be")
	}
	if networkOf(netip.Addr{}).IsValid() {
		t.Error("no address has a network")
	}
}

// Whatever a client sends in front of what the proxy adds, it is counted by the
// address that the proxy added, or by the proxy's own.
func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{"", "1.2.3.4", `for="`, `for="[::1]:80";proto=http`, "for=_x, for=unknown", "10.0.0.1, 10.0.0.2", `for="a\"b"`, ",,,", "[::1", "1.2.3.4:99999"} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8")}
	peer, added := netip.MustParseAddr("10.1.1.1"), netip.MustParseAddr("203.0.113.9")
	f.Fuzz(func(t *testing.T, said string, field bool) {
		h := http.Header{}
		if field {
			h["Forwarded"] = []string{said + ", for=203.0.113.9"}
		} else {
			h["X-Forwarded-For"] = []string{said + ", 203.0.113.9"}
		}
		if got := proxies.Client(&http.Request{RemoteAddr: "10.1.1.1:1", Header: h}); got != peer && got != added {
			t.Errorf("%q makes it %s", said, got)
		}
		h["X-Forwarded-For"], h["Forwarded"] = []string{said}, []string{said}
		proxies.Client(&http.Request{RemoteAddr: "10.1.1.1:1", Header: h})
	})
}
