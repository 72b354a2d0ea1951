package webhook

import (
	"context"
	"crypto/x509"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// TestSignature: the specification's own example, and the official library.
func TestSignature(t *testing.T) {
	t.Parallel()
	const key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	at, body := time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)
	got, err := secrets{{Key: key}}.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, body)
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	for range 20 {
		one := newSecret()
		hook, err := standardwebhooks.NewWebhook(one.Key)
		if err != nil {
			t.Fatal(err)
		}
		theirs, _ := hook.Sign("msg_1", at, body)
		if ours, err := (secrets{one}).sign("msg_1", at, body); err != nil || ours != theirs {
			t.Errorf("%s, %v; the library has %s", ours, err, theirs)
		}
	}
	if _, err := (secrets{{Key: "whsec_x"}}).sign("a", at, body); err == nil || strings.Contains(err.Error(), "whsec_x") {
		t.Errorf("a bad secret: %v", err)
	}
}

func TestSecretsRotate(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	s := secrets{newSecret()}
	first := s[0].Key
	for range 10 {
		s = s.rotated(now, newSecret(), time.Hour)
	}
	if len(s) != maxSecrets || s[0].UntilUS != 0 || !validSecrets(s) {
		t.Errorf("%d secrets", len(s))
	}
	for _, one := range s {
		if one.Key == first {
			t.Error("the oldest is kept beyond the bound")
		}
	}
	if s = s.rotated(now, newSecret(), 0); len(s) != 1 {
		t.Errorf("%d sign after a rotation at once", len(s))
	}
	// An overlap that was set ends when it was to.
	s = s.rotated(now, newSecret(), time.Hour).rotated(now, newSecret(), 2*time.Hour)
	if n := len(s.at(now.Add(90 * time.Minute))); n != 2 {
		t.Errorf("%d sign after 90 minutes", n)
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	var total time.Duration
	for n, pause := range Schedule() {
		total += pause
		for _, random := range []float64{0, 0.5, math.Nextafter(1, 0)} {
			at, again := next(Schedule(), n, now, 0, random)
			if d := at.Sub(now) - pause; !again || d.Abs() > pause/10+time.Microsecond {
				t.Errorf("attempt %d, random %v: %s, %v", n, random, at.Sub(now), again)
			}
		}
		if at, _ := next(Schedule(), n, now, 30*time.Hour, 0); at.Sub(now) != 30*time.Hour {
			t.Errorf("attempt %d ignores Retry-After: %s", n, at.Sub(now))
		}
	}
	if want := 75*time.Hour + 35*time.Minute + 5*time.Second; total != want {
		t.Errorf("the schedule takes %s, want %s", total, want)
	}
	if _, again := next(Schedule(), len(Schedule()), now, 0, 0); again {
		t.Error("one attempt more than the schedule has")
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, "-5": 0, "soon": 0, "999999999": maxRetryAfter, "99999999999999999999": 0, "1.5": 0,
		"Sat, 28 Nov 2026 12:01:00 GMT": time.Minute, "Sat, 28 Nov 2026 11:00:00 GMT": 0, "Fri, 31 Dec 9999 23:59:59 GMT": maxRetryAfter,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestBreakerPauses(t *testing.T) {
	t.Parallel()
	var b breaker
	now := time.Unix(1_000_000, 0)
	for range breakAfter - 1 {
		b.failed(now)
	}
	if ok, _ := b.ready(now, 3); !ok || b.open() {
		t.Error("it breaks too early")
	}
	pause := firstBreak
	for range 8 {
		b.failed(now)
		b.failed(now) // was under way when it broke
		if ok, at := b.ready(now, 0); ok || at != now.Add(pause) {
			t.Errorf("a pause of %s, want %s", at.Sub(now), pause)
		}
		now = now.Add(pause)
		if ok, _ := b.ready(now, 0); !ok {
			t.Error("no attempt after the pause")
		}
		if ok, at := b.ready(now, 1); ok || !at.IsZero() {
			t.Error("more than one attempt after the pause")
		}
		pause = min(2*pause, longestBreak)
	}
	b.succeeded()
	if ok, _ := b.ready(now, 3); !ok {
		t.Error("still broken after a success")
	}
	b.hold(now.Add(time.Minute))
	if ok, at := b.ready(now, 0); ok || at != now.Add(time.Minute) {
		t.Error("it does not wait as asked")
	}
}

// TestGuard is the table of what may be dialled.
func TestGuard(t *testing.T) {
	t.Parallel()
	prefixes := func(all ...string) (ps []netip.Prefix) {
		for _, s := range all {
			ps = append(ps, netip.MustParsePrefix(s))
		}
		return ps
	}
	closed := newGuard(nil, nil)
	open := newGuard(prefixes("10.1.0.0/16", "fd00:1::/32"), prefixes("93.184.216.0/24", "2606:2800::/32"))
	const yes, no = true, false
	for _, c := range []struct {
		addr                              string
		closedHTTPS, openHTTPS, openPlain bool
	}{
		{"8.8.8.8", yes, yes, no}, {"2a00:1450:4001::1", yes, yes, no},
		{"93.184.216.34", yes, no, no}, {"2606:2800::1", yes, no, no}, // denied by the operator
		{"10.1.2.3", no, yes, yes}, {"fd00:1::1", no, yes, yes}, // allowed by the operator
		{"10.2.0.1", no, no, no}, {"172.16.0.1", no, no, no}, {"192.168.1.1", no, no, no}, {"fd00:2::1", no, no, no}, // private
		{"127.0.0.1", no, no, no}, {"127.255.255.254", no, no, no}, {"::1", no, no, no}, // loopback
		{"0.0.0.0", no, no, no}, {"0.1.2.3", no, no, no}, {"::", no, no, no}, // unspecified
		{"169.254.169.254", no, no, no}, {"fd00:ec2::254", no, no, no}, {"100.100.100.200", no, no, no}, {"192.0.0.192", no, no, no}, {"168.63.129.16", no, no, no}, // metadata
		{"169.254.0.1", no, no, no}, {"fe80::1", no, no, no}, {"fe80::1%lo", no, no, no}, // link-local
		{"::ffff:127.0.0.1", no, no, no}, {"::ffff:8.8.8.8", no, no, no}, {"::ffff:10.1.2.3", no, no, no}, {"::127.0.0.1", no, no, no}, // IPv4 in IPv6
		{"64:ff9b::7f00:1", no, no, no}, {"64:ff9b::808:808", no, no, no}, {"64:ff9b:1::a00:1", no, no, no}, // NAT64
		{"2002:7f00:1::1", no, no, no}, {"2001:0:7f00:1::", no, no, no}, // 6to4, Teredo
		{"100.64.0.1", no, no, no}, {"198.18.0.1", no, no, no}, {"224.0.0.1", no, no, no}, {"255.255.255.255", no, no, no}, {"ff02::1", no, no, no},
		{"192.0.2.1", no, no, no}, {"198.51.100.1", no, no, no}, {"203.0.113.1", no, no, no}, {"2001:db8::1", no, no, no},
	} {
		addr := netip.MustParseAddr(c.addr)
		address := netip.AddrPortFrom(addr, 443).String()
		network := "tcp6"
		if addr.Is4() {
			network = "tcp4"
		}
		for name, check := range map[string]struct {
			err  error
			want bool
		}{
			"closed, https": {closed.control("https")(network, address, nil), c.closedHTTPS}, "closed, http": {closed.control("http")(network, address, nil), no},
			"open, https": {open.control("https")(network, address, nil), c.openHTTPS}, "open, http": {open.control("http")(network, address, nil), c.openPlain},
		} {
			if allowed := check.err == nil; allowed != check.want {
				t.Errorf("%s, %s: %v", c.addr, name, check.err)
			}
			if check.err != nil && !errors.Is(check.err, ErrAddress) {
				t.Errorf("%s, %s: %v is of another kind", c.addr, name, check.err)
			}
		}
	}
	if closed.control("https")("udp4", "8.8.8.8:53", nil) == nil || closed.control("https")("tcp4", "x", nil) == nil {
		t.Error("no TCP, or no address, is allowed")
	}
	for text, ok := range map[string]bool{
		"https://example.org/": yes, "https://8.8.8.8/": yes, "http://example.org/": no, "https://127.0.0.1/": no, "https://[::1]:8080/": no, "https://169.254.169.254/": no,
	} {
		if err := closed.checkURL(text); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestLocalNamesAreRefused: whatever leads to this machine, however it is written.
func TestLocalNamesAreRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	g := newGuard(nil, nil)
	client := g.roundTripper("https", Config{Timeout: time.Second, Overall: 1, PerWebhook: 1, RootCAs: roots})
	for _, url := range []string{"https://localhost:" + port, "https://127.0.0.1:" + port, "https://[::1]:" + port, "https://[::ffff:127.0.0.1]:" + port, "https://0:" + port, "https://127.1:" + port} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		if err == nil || !errors.Is(err, ErrAddress) && !strings.Contains(err.Error(), "no such host") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestTLSIsVerified, and no proxy of the environment is asked.
func TestTLSIsVerified(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	if os.Getenv("HTTPS_PROXY") == "" {
		t.Fatal("no proxy is set")
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	w := newWorld(t)
	for name, c := range map[string]struct {
		roots *x509.CertPool
		state string
		says  string
	}{"trusted": {roots, schemas.DeliveryDelivered, ""}, "unknown": {x509.NewCertPool(), schemas.DeliveryFailed, "certificate"}} {
		b := w.box(func(cfg *Config) { cfg.RootCAs = c.roots })
		hook := w.hook(b, schemas.WebhookSpec{URL: server.URL})
		d, err := b.Test(t.Context(), tenant, hook.ID)
		if err != nil || d.State != c.state || !strings.Contains(d.Last.Error, c.says) {
			t.Errorf("%s: %+v %+v, %v", name, d, d.Last, err)
		}
	}
}

// TestRemovedWebhookStaysAway: whoever wrote it hears of its own write after the watch
// has told of that, and of the removal by another gateway.
func TestRemovedWebhookStaysAway(t *testing.T) {
	t.Parallel()
	o, err := New(Config{Queue: &jobqueue.Queue{}})
	if err != nil {
		t.Fatal(err)
	}
	e := endpoint{Version: entryVersion, Tenant: tenant, Secrets: secrets{newSecret()}, Webhook: schemas.Webhook{ID: "w01h8x3vz9k6tqc2n4m5p7r0sa", Enabled: true}}
	data, err := encode(e)
	if err != nil {
		t.Fatal(err)
	}
	o.heardWebhook(jobqueue.Entry{Key: e.key(), Value: data, Revision: 10})
	o.heardWebhook(jobqueue.Entry{Key: e.key(), Deleted: true, Revision: 11})
	o.registry.learn(e, 10)
	if _, there := o.registry.lookup(tenant, e.Webhook.ID); there {
		t.Error("a webhook that was removed is back")
	}
	o.registry.learn(e, 12)
	if _, there := o.registry.lookup(tenant, e.Webhook.ID); !there {
		t.Error("a webhook that was made is not there")
	}
}

func TestBacklogTakesTurns(t *testing.T) {
	t.Parallel()
	b := newBacklog(100, func(receiver) int { return 100 })
	add := func(tenant string, n int) {
		for n := range n {
			b.add(notice{jobEnding(&schemas.Record{Tenant: tenant, ID: strconv.Itoa(n)}, 1), "w"})
		}
	}
	add("a", 5)
	add("b", 1)
	add("c", 2)
	full := map[string]bool{"c": true}
	var order string
	for len(b.held) > 2 {
		n, ok := b.take(t.Context(), func(r receiver) bool { return !full[r.tenant] })
		if !ok {
			t.Fatal("nothing to take")
		}
		order += n.tenant
	}
	if order != "abaaaa" {
		t.Errorf("order %s", order)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := b.take(ctx, func(receiver) bool { return false }); ok {
		t.Error("taken of a tenant without room")
	}
}

func FuzzDecodeEntries(f *testing.F) {
	f.Add("local.msg_01h8x3vz9k6tqc2n4m5p7r0sab", []byte(`{"v":1,"tenant":"local","delivery":{"id":"msg_01h8x3vz9k6tqc2n4m5p7r0sab","url":"https://a","state":"pending"}}`))
	f.Add("local.w01h8x3vz9k6tqc2n4m5p7r0sa", []byte(`{"v":1,"tenant":"local","webhook":{"id":"w01h8x3vz9k6tqc2n4m5p7r0sa","url":"https://a","enabled":true},"secrets":[{"key":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}]}`))
	f.Add("local.callback", []byte(`{"v":1,"tenant":"local","webhook":{},"secrets":[{"key":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}]}`))
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		if d, err := decodeDelivery(key, data); err == nil {
			_, _ = d.receiver(), d.due("me")
			encoded, err := encode(d)
			if err == nil {
				_, err = decodeDelivery(key, encoded)
			}
			if err != nil && !errors.Is(err, schemas.ErrTooLarge) {
				t.Fatal(err)
			}
		}
		if e, err := decodeEndpoint(key, data); err == nil {
			if _, err := e.Secrets.sign("a", time.Unix(0, 0), data); err != nil {
				t.Fatal(err)
			}
			_ = e.view(time.Unix(0, 0))
		}
	})
}
