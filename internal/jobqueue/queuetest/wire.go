package queuetest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// wire is a connection between two nodes that can be cut.
type wire struct {
	address string // where it begins

	mu    sync.Mutex
	off   bool
	conns map[net.Conn]bool
}

// newWire leads to an address.
func newWire(t testing.TB, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: l.Addr().String(), conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); w.cut() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil || !w.keep(near, far) {
				near.Close()
				continue
			}
			go w.pass(near, far)
			go w.pass(far, near)
		}
	}()
	return w
}

func (w *wire) keep(near, far net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.off {
		far.Close()
		return false
	}
	w.conns[near], w.conns[far] = true, true
	return true
}

func (w *wire) pass(to, from net.Conn) {
	_, _ = io.Copy(to, from) // it ends with the connection
	to.Close()
	from.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, to)
	delete(w.conns, from)
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off = true
	for c := range w.conns {
		c.Close()
	}
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off = false
}
