package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// row is what one job does.
type row struct {
	name  string
	what  string
	phase phase
	since time.Time
}

// set keeps the beginning of a phase: it has stages that overlap and follow each
// other too quickly to be timed.
func (r *row) set(in phase, what string) {
	if in != r.phase || r.what == "" {
		r.since = time.Now()
	}
	r.phase, r.what = in, what
}

// doing sets what the only progress line says, and list makes it several, each
// under a name, for doingAt.
func (s *screen) doing(in phase, what string) { s.doingAt(0, in, what) }

func (s *screen) doingAt(i int, in phase, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[i].set(in, what)
}

func (s *screen) list(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = make([]row, len(names))
	for i, name := range names {
		s.rows[i].name = name
	}
}

// progressLines say what goes on. A line is cut short, for one that wraps cannot
// be rewritten; rows that find no room are counted in the last line, those that
// have ended first.
func progressLines(rows []row, now time.Time, columns, height int) []string {
	rows, hidden := visible(rows, max(height, 1))
	names := 0
	for _, r := range rows {
		names = max(names, displayWidth(r.name))
	}
	var lines []string
	for _, r := range rows {
		if r.what == "" {
			continue
		}
		line := r.what
		if r.phase != phaseEnded {
			line += fmt.Sprintf(" %ds", int(now.Sub(r.since).Seconds()))
		}
		if r.name != "" {
			line = r.name + strings.Repeat(" ", names-displayWidth(r.name)+2) + line
		}
		lines = append(lines, cut(line, columns))
	}
	if hidden > 0 {
		lines = append(lines, cut(andMore(hidden), columns))
	}
	return lines
}

// visible are the rows that find room.
func visible(rows []row, height int) ([]row, int) {
	if len(rows) <= height {
		return rows, 0
	}
	room := max(height-1, 0)
	var shown, ended []row
	for _, r := range rows {
		if r.phase == phaseEnded {
			ended = append(ended, r)
		} else {
			shown = append(shown, r)
		}
	}
	shown = append(shown, ended...)
	return shown[:room], len(rows) - room
}

// sizeOf asks the terminal each time: it may be resized.
func sizeOf(w io.Writer) func() (int, int) {
	return func() (int, int) {
		if f, ok := w.(*os.File); ok && f != nil {
			if columns, lines, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 && lines > 0 {
				return columns, lines
			}
		}
		return 80, 24
	}
}
