package coordinator

import "slices"

// lane is the jobs of one pool and lane that wait to be offered. Tenants take
// turns, one job each; a tenant's own jobs go in the order in which they came.
type lane struct {
	turns   []string
	next    int
	waiting map[string][]*ticket
	// gone counts, by tenant, tickets in waiting that wait no more, about.
	gone map[string]int
	// offered are the tickets whose offers are in the stream, or on their way.
	offered map[*ticket]struct{}
}

func newLane() *lane {
	return &lane{waiting: map[string][]*ticket{}, gone: map[string]int{}, offered: map[*ticket]struct{}{}}
}

func (l *lane) push(t *ticket) {
	if len(l.waiting[t.place.Tenant]) == 0 {
		l.turns = append(l.turns, t.place.Tenant)
	}
	l.waiting[t.place.Tenant] = append(l.waiting[t.place.Tenant], t)
}

// pop returns the next ticket that still waits, or nil.
func (l *lane) pop() *ticket {
	for len(l.turns) > 0 {
		l.next %= len(l.turns)
		tenant := l.turns[l.next]
		queue := l.waiting[tenant]
		t := queue[0]
		queue[0] = nil
		if queue = queue[1:]; len(queue) == 0 {
			l.leave(l.next)
		} else {
			l.waiting[tenant] = queue
			if t.at != atLane {
				l.gone[tenant]--
			}
			if t.at == atLane {
				l.next++
			}
		}
		if t.at == atLane {
			return t
		}
	}
	return nil
}

// left takes note that a ticket waits no more. Nobody may pop for long, so what
// is gone goes as soon as it is half of its tenant's queue.
func (l *lane) left(t *ticket) {
	tenant := t.place.Tenant
	queue := l.waiting[tenant]
	if l.gone[tenant]++; 2*l.gone[tenant] < len(queue) {
		return
	}
	delete(l.gone, tenant)
	queue = slices.Clip(slices.DeleteFunc(queue, func(t *ticket) bool { return t.at != atLane }))
	if l.waiting[tenant] = queue; len(queue) > 0 {
		return
	}
	if at := slices.Index(l.turns, tenant); at >= 0 {
		l.leave(at)
		if at < l.next {
			l.next--
		}
	}
}

// leave removes a tenant that has nothing waiting from the turns.
func (l *lane) leave(at int) {
	delete(l.waiting, l.turns[at])
	delete(l.gone, l.turns[at])
	l.turns = slices.Delete(l.turns, at, at+1)
}
