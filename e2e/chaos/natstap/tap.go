// Package natstap stands between one program and its NATS server. It understands
// the protocol as far as to see each message, and asks a test what becomes of it:
// so a connection can be cut in the middle of a step, an answer lost, or a
// program killed while its message is on the way.
package natstap

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Fate is what becomes of a message.
type Fate int

const (
	// Pass hands it on.
	Pass Fate = iota
	// Lose drops it; the connection stays.
	Lose
	// Cut drops it and ends the connection.
	Cut
	// CutAfter hands it on and then ends the connection.
	CutAfter
)

// A Judge says what becomes of a message. What comes behind it in the same
// direction waits until it has, so it may also delay.
type Judge func(Message) Fate

// Tap is a listener that stands for a NATS server.
type Tap struct {
	listener net.Listener
	target   string
	judge    Judge

	mu    sync.Mutex
	pairs map[*pair]struct{}
	// deaf drops all that comes, mute all that goes, without a word.
	deaf, mute bool
	closed     bool
	running    sync.WaitGroup
}

// Start listens on loopback. judge may be nil.
func Start(target string, judge Judge) (*Tap, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("tap of %s: %w", target, err)
	}
	t := &Tap{listener: l, target: target, judge: judge, pairs: map[*pair]struct{}{}}
	t.running.Go(t.accept)
	return t, nil
}

// Addr is where the program connects to.
func (t *Tap) Addr() string { return t.listener.Addr().String() }

// Cut ends all connections. New ones are taken.
func (t *Tap) Cut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for p := range t.pairs {
		p.end()
	}
}

// Silence drops, until told otherwise, what comes from the server (deaf), what
// goes to it (mute), or both: connections stay and nobody is told.
func (t *Tap) Silence(deaf, mute bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deaf, t.mute = deaf, mute
}

// Close ends everything and waits for its end.
func (t *Tap) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	err := t.listener.Close()
	t.Cut()
	t.running.Wait()
	return err
}

func (t *Tap) accept() {
	for {
		program, err := t.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", t.target)
		if err != nil {
			program.Close()
			continue
		}
		p := &pair{tap: t, program: program, server: server, asked: map[string]*Message{}}
		if !t.add(p) {
			p.end()
			return
		}
		t.running.Go(func() { p.copy(server, program) })
		t.running.Go(func() { p.copy(program, server) })
	}
}

func (t *Tap) add(p *pair) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.pairs[p] = struct{}{}
	}
	return !t.closed
}

func (t *Tap) silenced(fromProgram bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fromProgram && t.mute || !fromProgram && t.deaf
}

// pair is a program's connection and the one behind it.
type pair struct {
	tap             *Tap
	program, server net.Conn

	mu sync.Mutex
	// asked are messages by where their answers go.
	asked map[string]*Message
}

func (p *pair) end() {
	p.program.Close()
	p.server.Close()
}

// copy hands on what comes until either side ends.
func (p *pair) copy(to, from net.Conn) {
	defer func() {
		p.end()
		p.tap.mu.Lock()
		delete(p.tap.pairs, p)
		p.tap.mu.Unlock()
	}()
	r := bufio.NewReaderSize(from, 64<<10)
	for {
		f, err := readFrame(r)
		if err != nil {
			return
		}
		if err := p.pass(to, f, from == p.program); err != nil {
			return
		}
	}
}

var errCut = errors.New("cut")

func (p *pair) pass(to net.Conn, f frame, fromProgram bool) error {
	fate := Pass
	if f.message != nil {
		p.correlate(f.message)
		if p.tap.judge != nil {
			fate = p.tap.judge(*f.message)
		}
	}
	if fate == Cut {
		return errCut
	}
	if fate == Lose || p.tap.silenced(fromProgram) {
		return nil
	}
	if _, err := to.Write(f.raw); err != nil {
		return err
	}
	if fate == CutAfter {
		return errCut
	}
	return nil
}

// maxAsked bounds the messages that are remembered: most are answered at once.
const maxAsked = 4096

// correlate finds for an answer what was asked.
func (p *pair) correlate(m *Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q := p.asked[m.Subject]; q != nil {
		m.Question = q
		delete(p.asked, m.Subject)
	}
	if m.Reply == "" {
		return
	}
	if len(p.asked) >= maxAsked {
		clear(p.asked)
	}
	q := *m
	q.Question = nil
	p.asked[m.Reply] = &q
}
