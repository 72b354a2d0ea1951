package natstap_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/program-explorer/pe/e2e/chaos/natstap"
)

// tapped is a connection through a tap to a real server.
func tapped(t *testing.T, judge natstap.Judge) (*natstap.Tap, *nats.Conn) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("no server")
	}
	tap, err := natstap.Start(s.Addr().String(), judge)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tap.Close() })
	nc, err := nats.Connect(tap.Addr(), nats.MaxReconnects(-1), nats.ReconnectWait(time.Millisecond), nats.IgnoreDiscoveredServers())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	echo(t, s.ClientURL())
	return tap, nc
}

// echo answers each request with what it asks, past the tap.
func echo(t *testing.T, url string) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if _, err := nc.Subscribe("ask.*", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, nc *nats.Conn, data string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	m := nats.NewMsg("ask.it")
	m.Header.Set("Kind", "test")
	m.Data = []byte(data)
	answer, err := nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		return "", err
	}
	return string(answer.Data), nil
}

func TestSeesEveryMessage(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []natstap.Message
	_, nc := tapped(t, func(m natstap.Message) natstap.Fate {
		mu.Lock()
		defer mu.Unlock()
		m.Reply = ""
		seen = append(seen, m)
		return natstap.Pass
	})
	if got, err := ask(t, nc, "a\r\nb"); err != nil || got != "a\r\nb" {
		t.Fatalf("answer %q, %v", got, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 2 {
		t.Fatalf("seen %+v", seen)
	}
	if m := seen[0]; !m.FromProgram || m.Subject != "ask.it" || m.Header.Get("Kind") != "test" || string(m.Data) != "a\r\nb" {
		t.Errorf("the question is %+v", m)
	}
	if m := seen[1]; m.FromProgram || m.Question == nil || m.Question.Subject != "ask.it" || string(m.Data) != "a\r\nb" {
		t.Errorf("the answer is %+v", m)
	}
}

func TestLosesAnAnswer(t *testing.T) {
	t.Parallel()
	var lost atomic.Bool
	_, nc := tapped(t, func(m natstap.Message) natstap.Fate {
		if !m.FromProgram && m.Question != nil && m.Question.Subject == "ask.it" && lost.CompareAndSwap(false, true) {
			return natstap.Lose
		}
		return natstap.Pass
	})
	if got, err := ask(t, nc, "once"); err == nil {
		t.Errorf("the lost answer %q arrived", got)
	}
	if got, err := ask(t, nc, "twice"); err != nil || got != "twice" {
		t.Errorf("answer %q, %v", got, err)
	}
}

func TestCutsTheConnection(t *testing.T) {
	t.Parallel()
	var cut atomic.Bool
	tap, nc := tapped(t, func(m natstap.Message) natstap.Fate {
		if m.FromProgram && m.Subject == "ask.it" && cut.CompareAndSwap(false, true) {
			return natstap.CutAfter
		}
		return natstap.Pass
	})
	back := make(chan struct{}, 8)
	nc.SetReconnectHandler(func(*nats.Conn) { back <- struct{}{} })
	if got, err := ask(t, nc, "once"); err == nil {
		t.Errorf("answer %q came through a connection that is cut", got)
	}
	<-back
	if got, err := ask(t, nc, "twice"); err != nil || got != "twice" {
		t.Errorf("answer %q, %v", got, err)
	}
	tap.Cut()
	<-back
	if got, err := ask(t, nc, "thrice"); err != nil || got != "thrice" {
		t.Errorf("answer %q, %v", got, err)
	}
}

func TestOneDirectionIsSilent(t *testing.T) {
	t.Parallel()
	tap, nc := tapped(t, nil)
	tap.Silence(true, false)
	if got, err := ask(t, nc, "deaf"); err == nil {
		t.Errorf("answer %q came though nothing does", got)
	}
	tap.Silence(false, false)
	if got, err := ask(t, nc, "hears"); err != nil || got != "hears" {
		t.Errorf("answer %q, %v", got, err)
	}
}
