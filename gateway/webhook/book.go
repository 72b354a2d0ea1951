package webhook

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// book is what a gateway knows of all deliveries, derived from the bucket: of
// one that has ended, an index entry alone.
type book struct {
	me string
	// kept is how many deliveries of a tenant there may be, ended ones counted.
	kept int
	// freed is told when there is room for a pending delivery again, begun of a new lane.
	freed func()
	begun func(*lane)

	mu      sync.Mutex
	items   map[string]*item
	tenants map[string]*ledger
	lanes   map[receiver]*lane
	// pending are the receivers' shares of the deliveries that are on their way.
	pending shares
	// making is how many deliveries of a tenant are being made.
	making map[string]int
	loaded bool
}

// item is a delivery in the index.
type item struct {
	key, id string
	rev     uint64
	created int64
	// gone is when the bucket has dropped it, by the age of its newest write, and tells nobody.
	gone    time.Time
	webhook string
	state   string
	// d is kept while it is pending.
	d *delivery
	// lane it waits in at the heap's index; nil while it is sent, or has ended.
	lane  *lane
	index int
	// sending: it is this gateway's at the moment. notBefore delays it here alone.
	sending   bool
	notBefore time.Time
}

// ledger of one tenant.
type ledger struct {
	ordered []*item // by creation, the oldest first
}

// pendingPart has 16 webhooks that all take nothing leave a third of the room.
const pendingPart = 16

// newBook lets a tenant have so many pending deliveries, and so many in all.
func newBook(me string, most, kept int, freed func(), begun func(*lane)) *book {
	return &book{
		me: me, kept: kept, freed: freed, begun: begun,
		items: map[string]*item{}, tenants: map[string]*ledger{}, lanes: map[receiver]*lane{}, pending: newShares(most, pendingPart), making: map[string]int{},
	}
}

func (b *book) ledger(tenant string) *ledger {
	l := b.tenants[tenant]
	if l == nil {
		l = &ledger{}
		b.tenants[tenant] = l
	}
	return l
}

// learn takes note of a delivery, unless it is older than what is known.
func (b *book) learn(d delivery, rev uint64, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := d.key()
	it := b.items[key]
	if it != nil && it.rev >= rev {
		return
	}
	ledger := b.ledger(d.Tenant)
	if it == nil {
		it = &item{key: key, id: d.Delivery.ID, created: d.Delivery.CreatedUS, webhook: d.Delivery.Webhook}
		b.items[key] = it
		ledger.insert(it, b.loaded)
	}
	b.count(it, -1)
	b.unqueue(it)
	if !b.loaded {
		now = d.written() // which may have been long ago
	}
	it.rev, it.state, it.d, it.gone, it.notBefore = rev, d.Delivery.State, nil, now.Add(d.keep()), time.Time{}
	if it.state == schemas.DeliveryPending {
		it.d = &d
	}
	b.count(it, +1)
	b.queue(it)
}

func (b *book) count(it *item, by int) {
	if it.d == nil {
		return
	}
	if b.pending.count(it.d.receiver(), by); by < 0 {
		b.freed()
	}
}

// forget takes note that an entry was deleted.
func (b *book) forget(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if it := b.items[key]; it != nil {
		b.drop(it)
	}
}

func (b *book) drop(it *item) {
	tenant, _, _ := strings.Cut(it.key, ".")
	l := b.ledger(tenant)
	b.count(it, -1)
	b.unqueue(it)
	it.d = nil
	delete(b.items, it.key)
	l.ordered = slices.DeleteFunc(l.ordered, func(x *item) bool { return x == it })
}

// expire drops what the bucket has dropped by now.
func (b *book) expire(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.freed()
	old := func(it *item) bool { return it.d == nil && now.After(it.gone) }
	for _, l := range b.tenants {
		l.ordered = slices.DeleteFunc(l.ordered, func(it *item) bool {
			if old(it) {
				delete(b.items, it.key)
				return true
			}
			return false
		})
	}
}

func (l *ledger) insert(it *item, sorted bool) {
	if !sorted || len(l.ordered) == 0 || byCreation(l.ordered[len(l.ordered)-1], it) < 0 {
		l.ordered = append(l.ordered, it)
		return
	}
	at, _ := slices.BinarySearchFunc(l.ordered, it, byCreation)
	l.ordered = slices.Insert(l.ordered, at, it)
}

func byCreation(a, b *item) int {
	return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id))
}

// sortAll ends the time in which values came in the order of their writes.
func (b *book) sortAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.tenants {
		slices.SortFunc(l.ordered, byCreation)
	}
	b.loaded = true
	b.freed()
}

func (b *book) knows(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.items[key] != nil
}

// room reports whether there may be one more pending delivery to a receiver.
func (b *book) room(r receiver) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.loaded && b.pending.room(r)
}

// reserve takes room for one more that is made for a receiver; false if there is none.
// Once it is made, or not, the room is given back: what was made has its own by then.
func (b *book) reserve(r receiver) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.loaded || !b.pending.room(r) || b.left(r.tenant) <= 0 {
		return false
	}
	b.pending.count(r, +1)
	b.making[r.tenant]++
	return true
}

func (b *book) release(r receiver) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending.count(r, -1)
	if b.making[r.tenant]--; b.making[r.tenant] == 0 {
		delete(b.making, r.tenant)
	}
	b.freed()
}

// left is how many more deliveries of a tenant can be kept.
func (b *book) left(tenant string) int {
	return b.kept - len(b.ledger(tenant).ordered) - b.making[tenant]
}

// mayGet is how many more there may be to a receiver, as far as is known.
func (b *book) mayGet(r receiver) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.loaded {
		return b.pending.most
	}
	return min(b.pending.space(r), max(b.left(r.tenant), 0))
}

// worthWhile reports whether there may be so many more that it pays to read records for
// a receiver: a thread of deliveries that end one by one is not worth a reading each.
func (b *book) worthWhile(r receiver) bool {
	return b.mayGet(r) > b.pending.most/256
}

// onTheirWay counts all tenants' pending deliveries, and the lanes whose breaker is open.
func (b *book) onTheirWay() (deliveries, broken int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	deliveries = b.pending.total()
	for _, l := range b.lanes {
		if l.breaker.open() {
			broken++
		}
	}
	return deliveries, broken
}

// queue puts a pending delivery into its lane, unless it is being sent.
func (b *book) queue(it *item) {
	if it.d == nil || it.sending {
		return
	}
	to := it.d.receiver()
	l := b.lanes[to]
	if l == nil {
		l = &lane{to: to, woken: make(chan struct{}, 1)}
		b.lanes[to] = l
		b.begun(l)
	}
	it.lane = l
	heap.Push(&l.waiting, entry{it, b.due(it)})
	l.wake()
}

func (b *book) due(it *item) time.Time {
	if due := it.d.due(b.me); due.After(it.notBefore) {
		return due
	}
	return it.notBefore
}

func (b *book) unqueue(it *item) {
	if it.lane != nil {
		heap.Remove(&it.lane.waiting, it.index)
		it.lane = nil
	}
}
