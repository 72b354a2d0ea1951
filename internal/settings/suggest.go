package settings

import (
	"strconv"

	"github.com/spf13/pflag"
)

// nearest is the known name that is closest to name, if one is close enough to
// be a slip of the keyboard.
func nearest(name string, known *pflag.FlagSet) string {
	best, distance := "", 1+max(2, len(name)/3)
	known.VisitAll(func(f *pflag.Flag) {
		if d := editDistance(name, f.Name); d < distance {
			best, distance = f.Name, d
		}
	})
	return best
}

// editDistance counts the letters to insert, delete or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func quoted(name string) string { return strconv.Quote(name) }
