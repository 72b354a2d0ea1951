package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
	"golang.org/x/text/width"
)

// minColumn is how narrow a column may become to fit a terminal.
const minColumn = 8

// table is columns that line up, whatever script their cells are in. On a
// terminal that is too narrow the widest columns are cut short, for lines that
// wrap are no table any more; elsewhere nothing is ever cut.
type table struct {
	out io.Writer
	// limit is the terminal's width; 0 if it is none.
	limit int
	rows  [][]string
	// care is how reluctantly each column is cut.
	care []care
}

// care says when a column is cut: a name that is cut cannot be copied.
type care int

const (
	cutFirst care = iota
	cutLast
	cutNever
)

// copied columns hold what goes into other commands.
var copied = map[string]care{"JOB": cutNever, "TARGET": cutNever, "STATE": cutNever, "NAME": cutNever, "OFFERS": cutNever, "EXECUTOR": cutLast, "WEBHOOK": cutNever, "DELIVERY": cutNever}

func (a *app) table(head ...string) *table {
	t := &table{out: a.Stdout, limit: columnsOf(a.Stdout), rows: [][]string{head}}
	for _, name := range head {
		t.care = append(t.care, copied[name])
	}
	return t
}

// columnsOf is the width of a terminal, or 0.
func columnsOf(f *os.File) int {
	if f == nil {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// total is how wide the table is if nothing is cut.
func (t *table) total() int { return total(t.widths()) }

// narrowest is how wide it is when all is cut that may be.
func (t *table) narrowest() int {
	widths := t.widths()
	t.fit(widths)
	return total(widths)
}

// drop removes the last column.
func (t *table) drop() {
	last := len(t.rows[0]) - 1
	for i := range t.rows {
		t.rows[i] = t.rows[i][:last]
	}
}

func total(widths []int) int {
	sum := 2 * (len(widths) - 1)
	for _, w := range widths {
		sum += w
	}
	return sum
}

func (t *table) widths() []int {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], displayWidth(cell))
		}
	}
	return widths
}

// fit narrows the widest column until all fit, or none may become narrower.
func (t *table) fit(widths []int) {
	for _, c := range []care{cutFirst, cutLast} {
		for t.limit > 0 && total(widths) > t.limit {
			widest := t.widest(widths, c)
			if widest < 0 {
				break
			}
			widths[widest]--
		}
	}
}

// widest is the column to narrow next, or -1.
func (t *table) widest(widths []int, c care) int {
	widest := -1
	for i, w := range widths {
		if t.care[i] == c && w > minColumn && (widest < 0 || w > widths[widest]) {
			widest = i
		}
	}
	return widest
}

func (t *table) write() error {
	widths := t.widths()
	t.fit(widths)
	var text strings.Builder
	for _, row := range t.rows {
		line := ""
		for i, cell := range row {
			cell = cut(cell, widths[i])
			line += cell + strings.Repeat(" ", widths[i]-displayWidth(cell)+2)
		}
		text.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	if _, err := t.out.Write([]byte(text.String())); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// displayWidth is how many columns a terminal takes for a text.
func displayWidth(s string) int {
	sum := 0
	for _, r := range s {
		sum += runeWidth(r)
	}
	return sum
}

func runeWidth(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cut shortens a text to a number of columns, and shows that it did.
func cut(s string, columns int) string {
	if displayWidth(s) <= columns {
		return s
	}
	const dots = ".."
	short, sum := "", 0
	for _, r := range s {
		if sum += runeWidth(r); sum > columns-len(dots) {
			break
		}
		short += string(r)
	}
	return short + dots
}
