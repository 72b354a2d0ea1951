package job

import (
	"os"
	"sync"
)

// inbox takes bytes from the reader of frames and writes them to a pipe from a goroutine of
// its own, so that a program that does not read never holds up a Kill. Its size is bounded
// by its user: by the window for stdin, by the child's steady reading for inputs.
type inbox struct {
	taken func(total int64)

	mu     sync.Mutex
	cond   *sync.Cond
	queue  []byte
	ended  bool
	closed bool
	total  int64
}

func newInbox(taken func(int64)) *inbox {
	b := &inbox{taken: taken}
	b.cond = sync.NewCond(&b.mu)
	return b
}

// put queues p and returns how much is queued now.
func (b *inbox) put(p []byte) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.queue = append(b.queue, p...)
		b.cond.Broadcast()
	}
	return len(b.queue)
}

// waitBelow returns when less than limit bytes are queued.
func (b *inbox) waitBelow(limit int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) >= limit && !b.closed {
		b.cond.Wait()
	}
}

// end marks the last byte.
func (b *inbox) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.cond.Broadcast()
}

// close drops what is queued.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.queue = true, nil
	b.cond.Broadcast()
}

// feed writes to pipe until the end, and closes it.
func (b *inbox) feed(pipe *os.File) {
	defer pipe.Close()
	broken := false
	for {
		p := b.next()
		if p == nil {
			return
		}
		if !broken {
			_, err := pipe.Write(p)
			broken = err != nil // nobody reads any more: the rest is taken and dropped
		}
		b.mu.Lock()
		b.total += int64(len(p))
		total := b.total
		b.mu.Unlock()
		if b.taken != nil {
			b.taken(total)
		}
	}
}

// next takes everything that is queued, or nil at the end.
func (b *inbox) next() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) == 0 && !b.ended && !b.closed {
		b.cond.Wait()
	}
	p := b.queue
	b.queue = nil
	b.cond.Broadcast()
	if len(p) == 0 {
		return nil
	}
	return p
}
