package webhook

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/program-explorer/pe/schemas"
)

// nameServer answers every question with the address that it is told; without one, that there is no such name.
func nameServer(t *testing.T, address *atomic.Pointer[netip.Addr]) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; address.Load() == nil {
				m.RCode = dnsmessage.RCodeNameError
			} else if q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: address.Load().As4()},
				}}
			}
			if answer, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// TestRebinding: a name leads where it may, and then to a private address. What
// counts is where it leads at the moment of each dial.
func TestRebinding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	listener, err := net.Listen("tcp4", ":0") // on 127.1.0.1 and 127.0.0.1 alike
	if err != nil {
		t.Fatal(err)
	}
	var reached atomic.Int32
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		w.Header().Set("Connection", "close")
	})}}
	server.Start()
	defer server.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var address atomic.Pointer[netip.Addr]
	allowed := netip.MustParseAddr("127.1.0.1")
	b := w.box(func(c *Config) {
		c.Allow, c.Resolver = []netip.Prefix{netip.PrefixFrom(allowed, 32)}, nameServer(t, &address)
	})
	hook := w.hook(b, schemas.WebhookSpec{URL: "http://receiver.example:" + port + "/"})
	for _, c := range []struct{ address, state string }{
		{"127.1.0.1", schemas.DeliveryDelivered}, {"127.0.0.1", schemas.DeliveryFailed}, {"10.0.0.1", schemas.DeliveryFailed},
		{"169.254.169.254", schemas.DeliveryFailed}, {"127.1.0.1", schemas.DeliveryDelivered},
	} {
		at := netip.MustParseAddr(c.address)
		address.Store(&at)
		d, err := b.Test(t.Context(), tenant, hook.ID)
		if err != nil || d.State != c.state || c.state == schemas.DeliveryFailed && d.Last.Error != leadsNowhere {
			t.Errorf("%s: %s, %+v, %v", c.address, d.State, d.Last, err)
		}
	}
	address.Store(nil) // no such name: the same is told as of one that leads inside
	if d, err := b.Test(t.Context(), tenant, hook.ID); err != nil || d.Last.Error != leadsNowhere {
		t.Errorf("no such name: %+v, %v", d.Last, err)
	}
	if n := reached.Load(); n != 2 {
		t.Errorf("reached %d times", n)
	}
}
