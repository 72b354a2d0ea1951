package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
}

// against names what a row is compared with; empty for nothing.
func against(row string) string {
	switch {
	case row == "job.cold.gcc_version":
		return "podman.gcc_version"
	case strings.HasPrefix(row, "stage."):
		return "job.cold.gcc_version"
	}
	return ""
}

// summarize makes the wanted rows, in the order of a job's stages within their group.
func summarize(m measurements, filter *regexp.Regexp) []Row {
	rows := []Row{}
	for _, name := range inOrder(m.order) {
		if !filter.MatchString(name) {
			continue
		}
		ms := m.ms[name]
		row := Row{Name: name, Unit: "ms", Median: median(ms), Min: slices.Min(ms), Max: slices.Max(ms), Runs: len(ms)}
		if base := m.ms[against(name)]; len(base) > 0 {
			row.Against, row.Ratio = against(name), row.Median/median(base)
		}
		rows = append(rows, row)
	}
	return rows
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

func table(w io.Writer, facts []string, rows []Row) {
	for _, f := range facts {
		fmt.Fprintln(w, f)
	}
	fmt.Fprintln(w)
	line := "%-24s %10s %10s %10s  %-4s %4s  %7s  %s\n"
	fmt.Fprintf(w, line, "row", "median", "min", "max", "unit", "runs", "ratio", "against")
	for _, r := range rows {
		ratio := ""
		if r.Against != "" {
			ratio = fmt.Sprintf("%.3f", r.Ratio)
		}
		fmt.Fprintf(w, line, r.Name, short(r.Median), short(r.Min), short(r.Max), r.Unit, strconv.Itoa(r.Runs), ratio, r.Against)
	}
}

func short(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

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
