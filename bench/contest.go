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
	// rows are the names of what one run measures.
	rows []string
	// turns bounds how often it is measured, where that takes long; 0: as often as
	// all. One that has a single turn is not run once more to warm up.
	turns int
	// asked: only if the filter names a row of it.
	asked bool
	// setup prepares, and returns what undoes it.
	setup func(context.Context) (undo func() error, err error)
	// once runs it one time.
	once func(context.Context) (sample, error)
}

// sample is what one run measured: values by row, and facts about what ran it.
type sample struct {
	values map[string][]float64
	facts  map[string]string
}

// took is a sample of one value.
func took(row string, value float64) sample {
	return sample{values: map[string][]float64{row: {value}}}
}

// errCannot says that this machine can't measure something: no fault of the program.
type errCannot struct{ error }

// measurements are all runs.
type measurements struct {
	values map[string][]float64
	facts  map[string]string
	// not has a reason for each row that was not measured.
	not map[string]string
	// broken are the errors that are somebody's fault.
	broken []error
}

// pick leaves the contestants that measure a row that is wanted, or what such a row is compared with.
func pick(all []contestant, filter *regexp.Regexp) []contestant {
	named := func(c contestant) bool {
		return slices.ContainsFunc(c.rows, filter.MatchString) && (!c.asked || filter.String() != "")
	}
	compared := make(map[string]bool)
	for _, c := range all {
		for _, row := range c.rows {
			if named(c) && filter.MatchString(row) {
				for _, other := range describe(row).against {
					compared[other] = true
				}
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(c contestant) bool {
		return !named(c) && !slices.ContainsFunc(c.rows, func(row string) bool { return compared[row] })
	})
}

// interleave runs everybody once to warm up, and then everybody in turn. Who
// fails is out; the others go on.
func interleave(ctx context.Context, all []contestant, runs int) (m measurements, err error) {
	m = measurements{values: make(map[string][]float64), facts: make(map[string]string), not: make(map[string]string)}
	ready := make([]bool, len(all))
	for i, c := range all {
		progress("prepare %s", c.rows[0])
		undo, setupErr := c.setup(ctx)
		if undo != nil {
			defer func() { err = errors.Join(err, undo()) }()
		}
		ready[i] = m.goesOn(c, "prepare", setupErr)
	}
	for round := range runs + 1 {
		for i, c := range all {
			if !ready[i] || !c.hasTurn(round) || ctx.Err() != nil {
				continue
			}
			progress("run %d of %d: %s", round, runs, c.rows[0])
			s, err := c.once(ctx)
			if ready[i] = m.goesOn(c, "run", err); ready[i] && (round > 0 || c.turns == 1) {
				m.add(s)
			}
		}
	}
	progress("")
	return m, ctx.Err()
}

// hasTurn: round 0 warms up, and is the only one of who has a single turn.
func (c contestant) hasTurn(round int) bool {
	switch c.turns {
	case 0:
		return true
	case 1:
		return round == 0
	}
	return round <= c.turns
}

// progress overwrites the last line.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "\r\033[K"+format, args...)
}

// goesOn notes why a contestant is out, if it is.
func (m *measurements) goesOn(c contestant, did string, err error) bool {
	if err == nil {
		return true
	}
	for _, row := range c.rows {
		m.not[row] = err.Error()
		delete(m.values, row)
	}
	if !errors.As(err, new(errCannot)) {
		m.broken = append(m.broken, fmt.Errorf("%s %s: %w", did, c.rows[0], err))
	}
	return false
}

func (m *measurements) add(s sample) {
	for row, values := range s.values {
		m.values[row] = append(m.values[row], values...)
	}
	for k, v := range s.facts {
		m.facts[k] = v
	}
}
