package feeder

import "container/list"

// lane is the jobs of one pool and lane that wait to be offered. Tenants share
// it by deficit round-robin: in its turn each may have as many offered as its
// weight is, and what it did not use of a turn is gone when nothing of it waits.
// A tenant's own jobs go in the order in which they came. A step takes the same
// time for a thousand tenants as for one.
type lane struct {
	pool, name string
	// turns are the shares that may be served, the next one first.
	turns  list.List
	shares map[string]*share // by tenant: all that have jobs waiting
	// offered are the tickets whose offers are in the stream, or on their way.
	offered map[*ticket]struct{}
}

// share is what of a tenant waits in a lane.
type share struct {
	lane    *lane
	account *account
	waiting fifo
	// deficit is how many of its jobs may still be offered in this turn.
	deficit int
	// turn is its place among the lane's turns; nil while its account is full.
	turn *list.Element
}

func newLane(pool, name string) *lane {
	return &lane{pool: pool, name: name, shares: map[string]*share{}, offered: map[*ticket]struct{}{}}
}

// push lets a ticket of the account wait.
func (l *lane) push(t *ticket, a *account) {
	s := l.shares[t.place.Tenant]
	if s == nil {
		s = &share{lane: l, account: a}
		s.turn = l.turns.PushBack(s)
		l.shares[t.place.Tenant] = s
		a.shares++
	}
	s.waiting.push(t)
}

// pop returns the next ticket, or nil if none may be offered. Shares whose
// account is full leave the turns until it is not.
func (l *lane) pop() *ticket {
	for l.turns.Len() > 0 {
		s := l.turns.Front().Value.(*share)
		if s.account.full() {
			s.hold()
			continue
		}
		t := s.waiting.first
		if s.deficit == 0 {
			s.deficit = s.account.weight
		}
		if s.deficit--; s.deficit == 0 {
			l.turns.MoveToBack(s.turn)
		}
		l.remove(t)
		return t
	}
	return nil
}

// remove takes out a ticket that waits.
func (l *lane) remove(t *ticket) {
	s := l.shares[t.place.Tenant]
	s.waiting.remove(t)
	if s.waiting.first != nil {
		return
	}
	delete(l.shares, t.place.Tenant)
	s.account.shares--
	if s.turn == nil {
		s.account.unhold(s)
		return
	}
	l.turns.Remove(s.turn)
}

// hold takes the share out of the turns until its account has room.
func (s *share) hold() {
	s.lane.turns.Remove(s.turn)
	s.turn, s.deficit = nil, 0
	s.account.held = append(s.account.held, s)
}

// fifo is tickets in the order in which they came. It is linked through them, so
// that one that is cancelled leaves at once from wherever it is.
type fifo struct{ first, last *ticket }

func (q *fifo) push(t *ticket) {
	t.before, t.behind = q.last, nil
	if q.last == nil {
		q.first = t
	} else {
		q.last.behind = t
	}
	q.last = t
}

func (q *fifo) remove(t *ticket) {
	if t.before == nil {
		q.first = t.behind
	} else {
		t.before.behind = t.behind
	}
	if t.behind == nil {
		q.last = t.before
	} else {
		t.behind.before = t.before
	}
	t.before, t.behind = nil, nil
}
