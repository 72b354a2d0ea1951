package imagesync

import (
	"io"
	"sync"
)

const (
	aheadChunk = 256 << 10
	aheadDepth = 4
)

// readAhead runs a decompressor on a goroutine of its own, so that it works
// while what it gave is hashed and stored. It holds at most aheadDepth+2 chunks.
type readAhead struct {
	full, empty chan chunk
	stop        chan struct{}
	once        sync.Once
	done        sync.WaitGroup
	current     chunk
	at          int
}

type chunk struct {
	data []byte
	n    int
	err  error
}

func newReadAhead(r io.Reader) *readAhead {
	a := &readAhead{
		full:  make(chan chunk, aheadDepth),
		empty: make(chan chunk, aheadDepth+2),
		stop:  make(chan struct{}),
	}
	for range aheadDepth + 2 {
		a.empty <- chunk{}
	}
	a.done.Go(func() { a.fill(r) })
	return a
}

func (a *readAhead) fill(r io.Reader) {
	for {
		var c chunk
		select {
		case c = <-a.empty:
		case <-a.stop:
			return
		}
		if c.data == nil {
			c.data = make([]byte, aheadChunk)
		}
		c.n, c.err = io.ReadFull(r, c.data)
		if c.err == io.ErrUnexpectedEOF {
			c.err = io.EOF
		}
		select {
		case a.full <- c:
		case <-a.stop:
			return
		}
		if c.err != nil {
			return
		}
	}
}

func (a *readAhead) Read(p []byte) (int, error) {
	for a.at == a.current.n {
		if a.current.err != nil {
			return 0, a.current.err
		}
		if a.current.data != nil {
			a.empty <- chunk{data: a.current.data}
		}
		a.current, a.at = <-a.full, 0
	}
	n := copy(p, a.current.data[a.at:a.current.n])
	a.at += n
	return n, nil
}

// Close stops the goroutine and waits for it: the reader below may be closed then.
func (a *readAhead) Close() {
	a.once.Do(func() { close(a.stop) })
	a.done.Wait()
}
