package webhook

import (
	"context"
	"slices"
	"sync"

	"github.com/program-explorer/pe/schemas"
)

// notice is an end that a target is yet to be told of.
type notice struct {
	*ending
	// target is a webhook's id; empty for the callback.
	target string
}

func (n notice) id() string {
	if n.target == "" {
		return n.deliveryID(callbackTarget)
	}
	return n.deliveryID(n.target)
}

func (n notice) key() string { return schemas.RecordKey(n.tenant, n.id()) }

func (n notice) to() receiver { return receiverOf(n.tenant, n.target, n.callback) }

// backlog holds notices whose deliveries are yet to be created, each once, and gives
// them out tenant by tenant, and of each receiver by receiver. Of a receiver with more
// than is held it knows from which revision on the records, or that the campaigns, are
// to be read again.
type backlog struct {
	// space is how many more deliveries a receiver may get: no more are held for it.
	space   func(receiver) int
	mu      sync.Mutex
	shares  shares // of what is held
	tenants map[string]*queue
	held    map[string]struct{} // keys of all notices
	turns   []string            // tenants with notices, the next one first
	behind  map[source]gaps
	woken   chan struct{}
}

// heldPart is large: what is held is for receivers that take what they are sent, and goes soon.
const heldPart = 4

// newBacklog holds at most so many notices of a tenant.
func newBacklog(most int, space func(receiver) int) *backlog {
	return &backlog{
		space: space, shares: newShares(most, heldPart), tenants: map[string]*queue{}, held: map[string]struct{}{}, behind: map[source]gaps{}, woken: make(chan struct{}, 1),
	}
}

// add leaves the notice out if there is no room: then its receiver is behind.
func (b *backlog) add(n notice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key, to := n.key(), n.to()
	if _, ok := b.held[key]; ok {
		return
	}
	if !b.shares.room(to) || b.shares.receivers[to] >= b.space(to) {
		b.leftOut(n.source(), to, n.rev)
		return
	}
	q := b.tenants[n.tenant]
	if q == nil {
		q = &queue{notices: map[receiver][]notice{}}
		b.tenants[n.tenant] = q
		b.turns = append(b.turns, n.tenant)
	}
	q.push(to, n)
	b.held[key] = struct{}{}
	b.shares.count(to, +1)
	b.wake()
}

func (b *backlog) wake() {
	select {
	case b.woken <- struct{}{}:
	default:
	}
}

// take waits for a notice of a receiver of whom reserve says that there is room, and that
// it is taken; false when ctx has ended.
func (b *backlog) take(ctx context.Context, reserve func(receiver) bool) (notice, bool) {
	for ctx.Err() == nil {
		if n, ok := b.next(reserve); ok {
			b.wake() // for whoever else waits
			return n, true
		}
		select {
		case <-ctx.Done():
		case <-b.woken:
		}
	}
	return notice{}, false
}

func (b *backlog) next(reserve func(receiver) bool) (notice, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, tenant := range b.turns {
		q := b.tenants[tenant]
		n, ok := q.pop(reserve)
		if !ok {
			continue
		}
		b.shares.count(n.to(), -1)
		delete(b.held, n.key())
		b.turns = slices.Delete(b.turns, i, i+1)
		if len(q.turns) == 0 {
			delete(b.tenants, tenant)
		} else {
			b.turns = append(b.turns, tenant)
		}
		return n, true
	}
	return notice{}, false
}

// size is how many notices are held, and how many tenants have more.
func (b *backlog) size() (notices, behind int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	tenants := map[string]struct{}{}
	for from := range b.behind {
		tenants[from.tenant] = struct{}{}
	}
	return len(b.held), len(tenants)
}

// queue has a tenant's notices.
type queue struct {
	notices map[receiver][]notice
	turns   []receiver // with notices, the next one first
}

func (q *queue) push(to receiver, n notice) {
	if len(q.notices[to]) == 0 {
		q.turns = append(q.turns, to)
	}
	q.notices[to] = append(q.notices[to], n)
}

// pop gives the oldest notice of the next receiver that has room.
func (q *queue) pop(reserve func(receiver) bool) (n notice, ok bool) {
	i := slices.IndexFunc(q.turns, reserve)
	if i < 0 {
		return n, false
	}
	to := q.turns[i]
	q.turns = slices.Delete(q.turns, i, i+1)
	waiting := q.notices[to]
	n, waiting[0] = waiting[0], notice{}
	if len(waiting) == 1 {
		delete(q.notices, to)
	} else {
		q.notices[to] = waiting[1:]
		q.turns = append(q.turns, to)
	}
	return n, true
}
