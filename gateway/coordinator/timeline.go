package coordinator

import (
	"cmp"
	"iter"
	"slices"
)

// timeline lists a tenant's jobs. Those that were deleted stay in it, as gone,
// until they are the most of it: a deletion costs the same however many jobs
// there are, and everybody who reads the list skips what is gone.
type timeline struct {
	// ordered by creation, the oldest first.
	ordered []*entry
	gone    int
}

func byCreation(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.id(), b.id()))
}

// insert adds a job; unsorted while the order is yet to be made.
func (t *timeline) insert(e *entry, unsorted bool) {
	if unsorted || len(t.ordered) == 0 || byCreation(t.ordered[len(t.ordered)-1], e) < 0 {
		t.ordered = append(t.ordered, e)
		return
	}
	at, found := slices.BinarySearchFunc(t.ordered, e, byCreation)
	if found { // the same job was deleted and made again
		t.ordered[at] = e
		t.gone--
		return
	}
	t.ordered = slices.Insert(t.ordered, at, e)
}

// remove leaves of the entry only what its place in the order needs.
func (t *timeline) remove(e *entry) {
	*e = entry{key: e.key, created: e.created, gone: true}
	if t.gone++; 2*t.gone > len(t.ordered) {
		t.compact()
	}
}

func (t *timeline) compact() {
	t.ordered = slices.DeleteFunc(t.ordered, func(e *entry) bool { return e.gone })
	t.gone = 0
}

func (t *timeline) sort() {
	t.compact()
	slices.SortFunc(t.ordered, byCreation)
}

// all yields the jobs that are there, the oldest first.
func (t *timeline) all() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, e := range t.ordered {
			if !e.gone && !yield(e) {
				return
			}
		}
	}
}

// after is the position of the first job that was created after one, or of the
// first of all for nil.
func (t *timeline) after(e *entry) int {
	if e == nil {
		return 0
	}
	at, found := slices.BinarySearchFunc(t.ordered, e, byCreation)
	if found {
		at++
	}
	return at
}
