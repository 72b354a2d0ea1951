package vm

import (
	"cmp"
	"strings"
)

// faulty are beginnings of releases that jobs get only if they name them, or if there is
// no other. On Debian 13's 6.12 for amd64, a job over its memory limit may hang until its
// wall limit instead of being ended (head -c 200m /dev/zero | tail, with 32 MiB; booted
// or restored, with lru_gen on or off; never on 6.1).
var faulty = []string{"6.12."}

// preferReleases orders kernels' releases as jobs want them that name none.
func preferReleases(a, b string) int {
	return cmp.Or(cmp.Compare(fault(a), fault(b)), compareReleases(b, a))
}

func fault(release string) int {
	for _, beginning := range faulty {
		if strings.HasPrefix(release, beginning) {
			return 1
		}
	}
	return 0
}

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
