//go:build linux

package ocirun

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"sync"
)

// channel joins two pipes.
type channel struct{ in, out *os.File }

func (c *channel) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *channel) Write(p []byte) (int, error) { return c.out.Write(p) }
func (c *channel) Close() error                { return errors.Join(c.in.Close(), c.out.Close()) }

// tailBytes is how much of stderr is kept.
const tailBytes = 4 << 10

// tail keeps the end of what is written to a pipe.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) read(from *os.File) {
	defer from.Close()
	buf := make([]byte, tailBytes)
	for {
		n, err := from.Read(buf)
		t.mu.Lock()
		t.kept = append(t.kept, buf[:n]...)
		if extra := len(t.kept) - tailBytes; extra > 0 {
			t.kept = append(t.kept[:0], t.kept[extra:]...)
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// text is fit for one line.
func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := bytes.TrimSpace(t.kept)
	if len(text) == 0 {
		return ""
	}
	return strconv.Quote(string(text[max(0, len(text)-400):]))
}
