package archive

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

const (
	maxPatterns = 256
	maxPattern  = 1024 // bytes
	maxStars    = 8    // "**" in one pattern: each may multiply the places to try
)

// Globs selects names below a root. A pattern is matched segment by segment
// with path.Match; a segment "**" stands for any number of segments, none too.
// A selected folder brings everything below it.
type Globs struct{ patterns [][]string }

// ParseGlobs checks the patterns: relative, without "..". No pattern selects everything.
func ParseGlobs(patterns []string) (Globs, error) {
	var g Globs
	if len(patterns) > maxPatterns {
		return g, fmt.Errorf("parse globs: %d patterns, at most %d", len(patterns), maxPatterns)
	}
	if len(patterns) == 0 {
		patterns = []string{"**"}
	}
	for _, p := range patterns {
		segments, err := parseGlob(p)
		if err != nil {
			return g, fmt.Errorf("parse glob %q: %w", p, err)
		}
		g.patterns = append(g.patterns, segments)
	}
	return g, nil
}

func parseGlob(p string) ([]string, error) {
	if p == "" || len(p) > maxPattern {
		return nil, fmt.Errorf("%d bytes long, want 1 to %d", len(p), maxPattern)
	}
	if p[0] == '/' {
		return nil, fmt.Errorf("not relative")
	}
	var segments []string
	stars := 0
	for s := range strings.SplitSeq(p, "/") {
		switch s {
		case "", ".":
			continue
		case "..":
			return nil, errors.New(`it holds ".."`)
		case "**":
			stars++
			if n := len(segments); n > 0 && segments[n-1] == "**" {
				continue
			}
		}
		if _, err := path.Match(s, ""); err != nil {
			return nil, err
		}
		segments = append(segments, s)
	}
	if stars > maxStars {
		return nil, fmt.Errorf("more than %d **", maxStars)
	}
	if len(segments) == 0 {
		segments = []string{"**"} // "." is the root, hence all of it
	}
	return segments, nil
}

// place is how far a pattern has matched on the way to a folder: its next
// segment. The walk carries the set of places down, so that it enters only
// folders in which something can match.
type place struct{ pattern, next int }

func (g Globs) start() []place {
	var places []place
	for i := range g.patterns {
		places = g.add(places, place{i, 0})
	}
	return places
}

// add puts a place into the set, and the one behind a "**", which may match nothing.
func (g Globs) add(places []place, p place) []place {
	for _, have := range places {
		if have == p {
			return places
		}
	}
	places = append(places, p)
	if pattern := g.patterns[p.pattern]; p.next < len(pattern)-1 && pattern[p.next] == "**" {
		places = g.add(places, place{p.pattern, p.next + 1})
	}
	return places
}

// enter matches one name in a folder with these places: whether the name is
// selected, and the places for what is below it.
func (g Globs) enter(places []place, name string) (selected bool, below []place) {
	for _, p := range places {
		pattern := g.patterns[p.pattern]
		segment, last := pattern[p.next], p.next == len(pattern)-1
		if segment == "**" {
			if last {
				return true, nil
			}
			below = g.add(below, p)
			continue
		}
		if ok, _ := path.Match(segment, name); !ok {
			continue
		}
		if last {
			return true, nil
		}
		below = g.add(below, place{p.pattern, p.next + 1})
		// "a/**" selects a itself too, so that an empty folder is kept.
		if p.next+2 == len(pattern) && pattern[p.next+1] == "**" {
			return true, nil
		}
	}
	return false, below
}
