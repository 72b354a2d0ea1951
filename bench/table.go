package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// table prints facts and rows for people.
func table(w io.Writer, facts []string, rows []Row) {
	for _, f := range facts {
		fmt.Fprintln(w, f)
	}
	fmt.Fprintln(w)
	line := "%-30s %10s %10s %10s  %-4s %4s  %7s  %-22s %s\n"
	fmt.Fprintf(w, line, "row", "median", "min", "max", "unit", "runs", "ratio", "against", "target")
	for _, r := range rows {
		if r.NotMeasured != "" {
			fmt.Fprintf(w, "%-30s not measured: %s\n", r.Name, oneLine(r.NotMeasured))
			continue
		}
		ratio := ""
		if r.Against != "" {
			ratio = strconv.FormatFloat(r.Ratio, 'f', 3, 64)
		}
		text := fmt.Sprintf(line, r.Name, short(r.Median), short(r.Min), short(r.Max), r.Unit, strconv.Itoa(r.Runs), ratio, r.Against, r.target())
		fmt.Fprintln(w, strings.TrimRight(text, " \n"))
	}
}

// target is the row's promise, and whether it was kept.
func (r Row) target() string {
	text := ""
	switch {
	case r.AtMost != nil:
		text = "≤ " + strconv.FormatFloat(*r.AtMost, 'g', -1, 64)
	case r.AtLeast != nil:
		text = "≥ " + strconv.FormatFloat(*r.AtLeast, 'g', -1, 64)
	default:
		return ""
	}
	switch {
	case r.Reached == nil:
		return text + ": not compared"
	case *r.Reached:
		return text + ": reached"
	}
	return text + ": NOT reached"
}

func short(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

// oneLine is the first line of a message that may have many.
func oneLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) == 0 {
		return s
	}
	return strings.Join(lines[:min(2, len(lines))], " ")
}
