package webhook

// gaps say what was left out for receivers of one tenant: for each the revision before
// the first record that was.
type gaps map[receiver]uint64

// maxGaps bounds a tenant's; of more hosts of callbacks it is known only that some are behind.
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

// lag has records read again for a receiver from a revision on.
func (b *backlog) lag(r receiver, rev uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leftOut(r, rev)
}

func (b *backlog) leftOut(r receiver, rev uint64) {
	all := b.behind[r.tenant]
	if all == nil {
		all = gaps{}
		b.behind[r.tenant] = all
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

// lagging are the tenants that are behind.
func (b *backlog) lagging() (tenants []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for tenant := range b.behind {
		tenants = append(tenants, tenant)
	}
	return tenants
}

// resume gives those of a tenant's gaps for which reading is worth while: much can be
// taken again of what is found, here and, as space has it, in the deliveries. Until
// something is left out again they are closed.
func (b *backlog) resume(tenant string, space func(receiver) bool) gaps {
	b.mu.Lock()
	defer b.mu.Unlock()
	due, all := gaps{}, b.behind[tenant]
	for r, after := range all {
		if b.mayHold(r) && (r == everybody(tenant) || space(r)) {
			due[r] = after
			delete(all, r)
		}
	}
	if len(all) == 0 {
		delete(b.behind, tenant)
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
