package vm

import (
	"cmp"
	"strings"
)

// compareReleases orders kernels' releases, such as 6.1.0-56-cloud-amd64: by their
// numbers, and by their bytes between them.
func compareReleases(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a = cutNumber(a)
		y, b = cutNumber(b)
		if c := compareNumbers(x, y); c != 0 {
			return c
		}
		x, a = cutWord(a)
		y, b = cutWord(b)
		if c := cmp.Compare(x, y); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func cutNumber(s string) (number, rest string) {
	rest = strings.TrimLeft(s, "0123456789")
	return s[:len(s)-len(rest)], rest
}

func cutWord(s string) (word, rest string) {
	n := strings.IndexAny(s, "0123456789")
	if n < 0 {
		n = len(s)
	}
	return s[:n], s[n:]
}

// compareNumbers compares digits of any length.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
