package coordinator

// lane is the jobs of one pool and lane that wait to be offered. Tenants take
// turns, one job each; a tenant's own jobs go in the order in which they came.
type lane struct {
	turns   []string
	next    int
	waiting map[string][]*ticket
	// offered are the tickets whose offers are in the stream, or on their way.
	offered map[*ticket]struct{}
}

func newLane() *lane {
	return &lane{waiting: map[string][]*ticket{}, offered: map[*ticket]struct{}{}}
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
			delete(l.waiting, tenant)
			l.turns = append(l.turns[:l.next], l.turns[l.next+1:]...)
		} else {
			l.waiting[tenant] = queue
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
