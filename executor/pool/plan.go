package pool

import (
	"cmp"
	"slices"
	"time"
)

// hotter is by how much a kind must be in more demand than another to have that
// one's machines ended in its favour. Two kinds in about equal demand would
// otherwise end each other's machines with every job.
const hotter = 1.5

// wanted is what the plan knows of one kind.
type wanted struct {
	key          string
	heat         float64 // demands per second
	used         time.Time
	low          int     // the kind's Min
	target, keep int     // how many it should have, and how many of those that it has may stay
	held         []int64 // bytes of each that it has, those that are ended last first
	next         int64   // bytes of another
	template     int64   // bytes, once, if there is any
	failing      bool    // its Make failed lately
}

// claim is one machine that a kind has, or wants.
type claim struct {
	kind  int // which of the wanted
	n     int // which of its machines, from 0
	bytes int64
	held  bool
	class int
	rank  float64 // the higher, the earlier within its class
}

// Classes of claims, in the order of their precedence.
const (
	classMin  = iota // the kind's minimum
	classRest        // what its demand calls for
	classTry         // another try of a kind that fails: nothing else is ended for it
)

// claims lists all that kinds have and want, the most urgent first.
func claims(kinds []wanted) []claim {
	var all []claim
	for i, k := range kinds {
		count := k.target
		if len(k.held) > k.target {
			count = min(len(k.held), max(k.keep, k.target))
		}
		for n := range count {
			all = append(all, k.claim(i, n))
		}
	}
	slices.SortFunc(all, func(a, b claim) int {
		x, y := kinds[a.kind], kinds[b.kind]
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(b.rank, a.rank), first(a.held, b.held),
			y.used.Compare(x.used), cmp.Compare(x.key, y.key), cmp.Compare(a.kind, b.kind), cmp.Compare(a.n, b.n))
	})
	return all
}

// first compares what comes first if it is so.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func (k *wanted) claim(kind, n int) claim {
	c := claim{kind: kind, n: n, bytes: k.next, class: classRest, rank: k.heat}
	if n < len(k.held) {
		c.held, c.bytes, c.rank = true, k.held[n], k.heat*hotter
	}
	switch {
	case k.failing && !c.held:
		c.class = classTry
	case n < k.low:
		c.class = classMin
	}
	return c
}

// admit goes through claims in their order and takes what the budget is enough
// for. It returns how many machines each kind may have, and the claims for those
// that are yet to be made.
func admit(budget int64, kinds []wanted, all []claim) (counts []int, missing []claim) {
	counts = make([]int, len(kinds))
	for _, c := range all {
		cost := c.bytes
		if c.n == 0 {
			cost += kinds[c.kind].template
		}
		// Without its n-th machine, a kind has no further ones either.
		if counts[c.kind] != c.n || cost > budget {
			continue
		}
		budget -= cost
		counts[c.kind]++
		if !c.held {
			missing = append(missing, c)
		}
	}
	return counts, missing
}

// retreat is a plan for a host that is short of memory: the coldest n of all that
// kinds have are ended, and nothing is made.
func retreat(kinds []wanted, n int) []int {
	counts := make([]int, len(kinds))
	var held []claim
	for _, c := range claims(kinds) {
		if c.held {
			held = append(held, c)
			counts[c.kind]++
		}
	}
	slices.Reverse(held)
	for _, c := range held[:min(n, len(held))] {
		counts[c.kind]--
	}
	return counts
}
