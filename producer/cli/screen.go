package cli

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progressDelay is how long the progress line waits, so that a quick job shows none.
const progressDelay = 500 * time.Millisecond

// phase is a part of a job's life whose seconds the progress line counts.
type phase int

const (
	phaseSending phase = iota
	phaseQueued
	phaseStarting
	phaseRunning
	phaseFinishing
)

// screen owns what is written while a job runs, so that the progress line and
// the program's output never mix.
type screen struct {
	mu     sync.Mutex
	out    io.Writer
	err    io.Writer
	shown  bool
	broken bool // the last output did not end its line
	what   string
	phase  phase
	since  time.Time
	begun  time.Time
	stop   chan struct{}
	done   sync.WaitGroup
}

func newScreen(out, err io.Writer) *screen { return &screen{out: out, err: err} }

// start begins to show progress, if the terminal can.
func (s *screen) start(rewritable bool) {
	if !rewritable || s.stop != nil {
		return
	}
	stop := make(chan struct{})
	s.mu.Lock()
	s.begun, s.stop = time.Now(), stop
	s.mu.Unlock()
	s.done.Go(func() {
		tick := time.NewTicker(progressDelay)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				s.draw()
			}
		}
	})
}

// end removes the progress line for good.
func (s *screen) end() {
	if s.stop == nil {
		return
	}
	close(s.stop)
	s.done.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = nil
	s.clear()
}

// doing sets what the progress line says. Its seconds are those of the phase: a
// phase has stages that overlap and follow each other too quickly to be timed.
func (s *screen) doing(in phase, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in != s.phase || s.what == "" {
		s.since = time.Now()
	}
	s.phase, s.what = in, what
}

func (s *screen) draw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.what == "" || s.broken || time.Since(s.begun) < progressDelay {
		return
	}
	// Cut short, for a line that wraps cannot be rewritten.
	line := fmt.Sprintf("%s %ds", s.what, int(time.Since(s.since).Seconds()))
	if len(line) > 72 {
		line = line[:72]
	}
	fmt.Fprintf(s.err, "\r%s\x1b[K", line)
	s.shown = true
}

func (s *screen) clear() {
	if s.shown {
		fmt.Fprint(s.err, "\r\x1b[K")
		s.shown = false
	}
}

// output passes on what the program wrote to its stdout or stderr.
func (s *screen) output(toErr bool, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	s.broken = len(data) > 0 && data[len(data)-1] != '\n'
	w := s.out
	if toErr {
		w = s.err
	}
	_, err := w.Write(data)
	return err
}

// say writes a message of our own on a line of its own.
func (s *screen) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	if s.broken && s.stop != nil {
		fmt.Fprintln(s.err)
		s.broken = false
	}
	fmt.Fprintf(s.err, "pe: %s\n", text)
}
