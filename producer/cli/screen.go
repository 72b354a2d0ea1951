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
	phaseEnded
)

// screen owns what is written while jobs run, so that the progress lines and
// the program's output never mix.
type screen struct {
	mu  sync.Mutex
	out io.Writer
	err io.Writer
	// size of the terminal behind err, in columns and lines.
	size func() (columns, lines int)
	// shown is how many lines of progress are on the terminal.
	shown  int
	broken bool // the last output did not end its line
	// rows are what goes on: one without a name, or one for each of several jobs.
	rows  []row
	begun time.Time
	stop  chan struct{}
	done  sync.WaitGroup
}

func newScreen(out, err io.Writer) *screen {
	return &screen{out: out, err: err, size: sizeOf(err), rows: make([]row, 1)}
}

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

// draw writes the progress lines over those that are shown.
func (s *screen) draw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken || time.Since(s.begun) < progressDelay {
		return
	}
	columns, height := s.size()
	lines := progressLines(s.rows, time.Now(), columns-1, height-1)
	if len(lines) == 0 {
		return
	}
	text := s.home()
	for i, line := range lines {
		if i > 0 {
			text += "\r\n"
		}
		text += line + "\x1b[K"
	}
	fmt.Fprint(s.err, text+"\x1b[J")
	s.shown = len(lines)
}

// home goes to the beginning of the first progress line.
func (s *screen) home() string {
	if s.shown > 1 {
		return fmt.Sprintf("\r\x1b[%dA", s.shown-1)
	}
	return "\r"
}

func (s *screen) clear() {
	if s.shown > 0 {
		fmt.Fprint(s.err, s.home()+"\x1b[J")
		s.shown = 0
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
