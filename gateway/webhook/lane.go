package webhook

import (
	"container/heap"
	"time"
)

// lane is what waits for one receiver. Its fields are the book's.
type lane struct {
	to       receiver
	waiting  waiting
	underWay int
	breaker  breaker
	woken    chan struct{}
}

func (l *lane) wake() {
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

// waiting is a heap of deliveries, the one that is due first on top.
type waiting []entry

type entry struct {
	*item
	due time.Time
}

func (w waiting) Len() int           { return len(w) }
func (w waiting) Less(i, j int) bool { return w[i].due.Before(w[j].due) }
func (w waiting) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}

func (w *waiting) Push(x any) {
	e := x.(entry)
	e.index = len(*w)
	*w = append(*w, e)
}

func (w *waiting) Pop() any {
	all := *w
	last := all[len(all)-1]
	all[len(all)-1] = entry{}
	*w = all[:len(all)-1]
	return last
}

// take gives the delivery of a lane that is to be sent now. If there is none,
// there may be one at the given instant; if that is zero, the lane's waking
// tells. over: nothing is left in the lane, and nobody knows it any more.
func (b *book) take(l *lane, now time.Time, most int) (it *item, at time.Time, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(l.waiting) == 0 {
		if over = l.underWay == 0; over {
			delete(b.lanes, l.to)
		}
		return nil, at, over
	}
	ok, at := l.breaker.ready(now, l.underWay)
	if first := l.waiting[0].due; first.After(at) {
		at = first
	}
	switch {
	case at.After(now):
		return nil, at, false
	case !ok || l.underWay >= most:
		return nil, time.Time{}, false
	}
	it = heap.Pop(&l.waiting).(entry).item
	it.lane, it.sending = nil, true
	l.underWay++
	return it, time.Time{}, false
}

// put gives a delivery back that take gave, to be sent again when it is due, in
// this gateway not before the instant.
func (b *book) put(l *lane, it *item, notBefore time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	it.sending, it.notBefore = false, notBefore
	l.underWay--
	if b.items[it.key] == it {
		b.queue(it)
	}
	l.wake()
}

// held is the delivery of an item as it is known now; false if it is not pending any more.
func (b *book) held(it *item) (delivery, uint64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if it.d == nil {
		return delivery{}, 0, false
	}
	return *it.d, it.rev, true
}

// judge lets a lane's breaker know what became of an attempt.
func (b *book) judge(l *lane, f func(*breaker)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&l.breaker)
}

// calm forgets that a receiver failed: it may be another one now.
func (b *book) calm(r receiver) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.lanes[r]; l != nil {
		l.breaker.succeeded()
		l.wake()
	}
}
