package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// A contestant is measured again and again.
type contestant struct {
	// rows are the names of what one run measures; a name that ends in ".*"
	// stands for all that begin like it.
	rows []string
	// setup prepares, and returns what undoes it.
	setup func(context.Context) (undo func() error, err error)
	// once runs it one time and returns milliseconds by row. It may return
	// facts about what ran it.
	once func(context.Context) (sample, error)
}

// sample is what one run measured.
type sample struct {
	ms    map[string]float64
	facts map[string]string
}

// measurements are all runs: milliseconds by row.
type measurements struct {
	ms    map[string][]float64
	order []string
	facts map[string]string
}

// pick leaves the contestants that measure a row that is wanted, or what such a row is compared with.
func pick(all []contestant, filter *regexp.Regexp) []contestant {
	var chosen []contestant
	for _, c := range all {
		if slices.ContainsFunc(c.rows, func(row string) bool {
			return filter.MatchString(row) || slices.ContainsFunc(all, func(other contestant) bool {
				return slices.ContainsFunc(other.rows, func(o string) bool { return filter.MatchString(o) && against(o) == row })
			})
		}) {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// interleave runs everybody once to warm up, and then everybody in turn.
func interleave(ctx context.Context, all []contestant, runs int) (_ measurements, err error) {
	m := measurements{ms: make(map[string][]float64), facts: make(map[string]string)}
	for _, c := range all {
		undo, setupErr := c.setup(ctx)
		if undo != nil {
			defer func() { err = errors.Join(err, undo()) }()
		}
		if setupErr != nil {
			return m, fmt.Errorf("prepare %s: %w", c.rows[0], setupErr)
		}
	}
	for i := range runs + 1 {
		fmt.Fprintf(os.Stderr, "\rrun %d of %d ", i, runs)
		for _, c := range all {
			s, err := c.once(ctx)
			if err != nil {
				return m, fmt.Errorf("run %s: %w", c.rows[0], err)
			}
			if i > 0 {
				m.add(s)
			}
		}
	}
	fmt.Fprintln(os.Stderr)
	return m, nil
}

func (m *measurements) add(s sample) {
	for row, ms := range s.ms {
		if m.ms[row] == nil {
			m.order = append(m.order, row)
		}
		m.ms[row] = append(m.ms[row], ms)
	}
	for k, v := range s.facts {
		m.facts[k] = v
	}
}
