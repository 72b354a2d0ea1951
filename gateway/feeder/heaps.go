package feeder

import "container/heap"

// delays is a heap of tickets, the earliest first.
type delays []*ticket

func (d delays) Len() int           { return len(d) }
func (d delays) Less(i, j int) bool { return d[i].due.Before(d[j].due) }
func (d delays) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *delays) Push(x any)        { *d = append(*d, x.(*ticket)) }
func (d *delays) Pop() any {
	old := *d
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	return t
}

// deadlines is a heap of the tickets whose wait ends, the earliest first. Every
// ticket knows its place, so that one that is claimed leaves at once.
type deadlines []*ticket

// add puts a ticket in; 0 is never.
func (d *deadlines) add(t *ticket, expires int64) {
	if t.expires = expires; expires != 0 {
		heap.Push(d, t)
	}
}

func (d *deadlines) remove(t *ticket) {
	if t.expires != 0 {
		heap.Remove(d, t.index)
		t.expires = 0
	}
}

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].expires < d[j].expires }
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

func (d *deadlines) Push(x any) {
	t := x.(*ticket)
	t.index = len(*d)
	*d = append(*d, t)
}

func (d *deadlines) Pop() any {
	old := *d
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	return t
}
