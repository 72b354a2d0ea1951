package webhook

import (
	"maps"
	"slices"
)

// gaps say what was left out of one source for receivers: for each the revision before
// the first that was.
type gaps map[receiver]uint64

// maxGaps bounds those of a source; of more hosts of callbacks it is known only that some are behind.
const maxGaps = 64

// begin is the revision after which all is read that was left out.
func (g gaps) begin() (after uint64) {
	first := true
	for _, a := range g {
		if first || a < after {
			after, first = a, false
		}
	}
	return after
}

// has reports whether the record at a revision may have been left out for a receiver.
func (g gaps) has(one receiver, rev uint64) bool {
	for r, after := range g {
		if rev > after && r.covers(one) {
			return true
		}
	}
	return false
}

// lag has a source read again for a receiver from a revision on.
func (b *backlog) lag(from source, r receiver, rev uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leftOut(from, r, rev)
}

func (b *backlog) leftOut(from source, r receiver, rev uint64) {
	all := b.behind[from]
	if all == nil {
		all = gaps{}
		b.behind[from] = all
	}
	if _, known := all[r]; !known && r.host != "" && len(all) >= maxGaps {
		r.host = ""
	}
	after := max(rev, 1) - 1
	if before, known := all[r]; known {
		after = min(after, before)
	}
	all[r] = after
}

// lagging are the sources of which something was left out.
func (b *backlog) lagging() []source {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.behind))
}

// resume gives those of a source's gaps for which reading is worth while: much can be
// taken again of what is found, here and, as space has it, in the deliveries. Until
// something is left out again they are closed.
func (b *backlog) resume(from source, space func(receiver) bool) gaps {
	b.mu.Lock()
	defer b.mu.Unlock()
	due, all := gaps{}, b.behind[from]
	for r, after := range all {
		if b.mayHold(r) && (r == everybody(from.tenant) || space(r)) {
			due[r] = after
			delete(all, r)
		}
	}
	if len(all) == 0 {
		delete(b.behind, from)
	}
	return due
}

// mayHold reports whether a receiver may have twice of what is held for it now.
func (b *backlog) mayHold(r receiver) bool {
	space := b.shares.space(r)
	if r.target == "" { // whoever of them has no room is behind by itself
		space = max(space, b.shares.space(receiver{r.tenant, callbackTarget, ""}))
	}
	return space > 0 && b.shares.receivers[r] <= space
}

// full reports whether no more of what was left out can be held.
func (b *backlog) full(g gaps) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for r := range g {
		if b.shares.room(r) || r.target == "" && b.shares.room(receiver{r.tenant, callbackTarget, ""}) {
			return false
		}
	}
	return true
}
