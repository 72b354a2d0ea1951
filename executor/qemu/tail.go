package qemu

import (
	"bytes"
	"sync"
)

// tail keeps the last bytes written to it: a guest may write to its console
// for ever.
type tail struct {
	mu    sync.Mutex
	limit int
	buf   []byte        // up to twice limit, so that most writes only append
	first chan struct{} // closed at the first byte; nil if nobody asks
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if t.first != nil && n > 0 {
		close(t.first)
		t.first = nil
	}
	if n > t.limit {
		p = p[n-t.limit:]
	}
	if len(t.buf)+len(p) > 2*t.limit {
		t.buf = t.buf[:copy(t.buf, t.buf[len(t.buf)-t.limit:])]
	}
	t.buf = append(t.buf, p...)
	return n, nil
}

// Bytes returns a copy of what is kept.
func (t *tail) Bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.buf[max(0, len(t.buf)-t.limit):])
}
