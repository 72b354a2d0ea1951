package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Row is one line of the table and of bench.json.
type Row struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Runs   int     `json:"runs"`
	// Against is the row of the same run that Ratio compares the median with.
	Against string  `json:"against,omitempty"`
	Ratio   float64 `json:"ratio,omitempty"`
	// AtMost is the target: of Ratio, or of Median where Against is empty; AtLeast is one
	// of Median. Reached says whether it was.
	AtMost  *float64 `json:"at_most,omitempty"`
	AtLeast *float64 `json:"at_least,omitempty"`
	Reached *bool    `json:"reached,omitempty"`
	// NotMeasured says why there are no figures.
	NotMeasured string `json:"not_measured,omitempty"`
}

// summarize makes the wanted rows, those that were not measured among them.
func summarize(m measurements, filter *regexp.Regexp) []Row {
	rows := []Row{}
	names := append(slices.Collect(maps.Keys(m.values)), slices.Collect(maps.Keys(m.not))...)
	for _, name := range inOrder(names) {
		if filter.MatchString(name) {
			rows = append(rows, summary(m, name))
		}
	}
	return rows
}

func summary(m measurements, name string) Row {
	e, values := describe(name), m.values[name]
	row := Row{Name: name, Unit: e.unit, AtMost: e.atMost, AtLeast: e.atLeast}
	if len(values) == 0 {
		row.NotMeasured = m.not[name]
		return row
	}
	row.Median, row.Min, row.Max, row.Runs = median(values), slices.Min(values), slices.Max(values), len(values)
	held := row.Median
	if len(e.against) > 0 {
		i := slices.IndexFunc(e.against, func(a string) bool { return len(m.values[a]) > 0 })
		if i < 0 {
			return row
		}
		row.Against = e.against[i]
		row.Ratio = row.Median / median(m.values[row.Against])
		held = row.Ratio
	}
	if e.atMost != nil || e.atLeast != nil {
		reached := (e.atMost == nil || held <= *e.atMost) && (e.atLeast == nil || row.Median >= *e.atLeast)
		row.Reached = &reached
	}
	return row
}

// inOrder sorts rows as the catalog lists them, those of a family by name, the
// stages in the order of a job's life.
func inOrder(rows []string) []string {
	return slices.SortedFunc(slices.Values(rows), func(a, b string) int {
		if d := place(a) - place(b); d != 0 {
			return d
		}
		if d := stageRank(a) - stageRank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// median of at least one value: the middle one, or the mean of the two.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	half := len(s) / 2
	if len(s)%2 == 1 {
		return s[half]
	}
	return (s[half-1] + s[half]) / 2
}

func write(path string, rows []Row) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
