package jobqueue

import (
	"context"
	"errors"
	"slices"
	"sync"
)

const (
	// apart is how many writes of a bucket may be under way each by itself: enough
	// that the server has the next one when it has synced the last.
	apart = 8
	// worthwhile is how many go together: an atomic batch is staged in files of its
	// own, so that it costs about as much as this many writes (six waits for the disk).
	worthwhile = 16
)

// gatherer is group commit for a bucket of one replica, whose server syncs one
// message after the other: writes that come while others are under way go together,
// in one atomic batch. Nobody waits for company: what goes together is what would
// have waited in the server's line. With more replicas the server's log does this itself.
//
// Every caller has the answer that he would have had alone. A batch in which
// anything is wrong is refused as a whole, with nothing written, and each of its
// writes is then sent by itself.
type gatherer struct {
	// batch writes entries of different keys, each of which must have the revision
	// that it names, and returns the last one's new revision; the others have those before.
	batch func(ctx context.Context, entries []Entry) (last uint64, err error)

	mu sync.Mutex
	// apart counts the writes that are under way by themselves; together is set while a batch is.
	apart    int
	together bool
	line     []*gathered
}

// gathered is a write that waits for its turn.
type gathered struct {
	Entry
	// turn gets at most one.
	turn chan turn
}

// turn is what becomes of a write: sent by its caller, or an answer.
type turn struct {
	apart    bool
	revision uint64
	err      error
}

// errRefused: the server has refused a batch, and written nothing of it.
var errRefused = errors.New("the batch was refused")

// write writes an entry whose key must have the revision that it names, by itself or with
// others, and returns its new revision. alone is how it is sent by itself.
func (g *gatherer) write(ctx context.Context, e Entry, alone func() (uint64, error)) (uint64, error) {
	w := &gathered{Entry: e, turn: make(chan turn, 1)}
	g.mu.Lock()
	g.line = append(g.line, w)
	g.launch()
	g.mu.Unlock()
	select {
	case t := <-w.turn:
		switch {
		case t.apart:
			defer g.landed()
			return alone()
		case errors.Is(t.err, errRefused):
			return alone()
		}
		return t.revision, t.err
	case <-ctx.Done():
		g.leave(w)
		return 0, ctx.Err()
	}
}

// launch gives their turns to those in the line who need not wait; the lock is held.
func (g *gatherer) launch() {
	for len(g.line) > 0 && !g.together {
		switch {
		case len(g.line) >= worthwhile:
			g.together = true
			go g.fly(g.board())
		case g.apart < apart:
			g.apart++
			g.line[0].turn <- turn{apart: true}
			g.line = slices.Delete(g.line, 0, 1)
		default:
			return
		}
	}
}

// board takes from the line what may go together: each key once, and no more than a batch may have.
func (g *gatherer) board() (batch []*gathered) {
	keys := make(map[string]bool, len(g.line))
	var later []*gathered
	for _, w := range g.line {
		if keys[w.Key] || len(batch) == MaxBatch {
			later = append(later, w)
			continue
		}
		keys[w.Key] = true
		batch = append(batch, w)
	}
	g.line = later
	return batch
}

// fly sends a batch and tells everybody's answer.
func (g *gatherer) fly(batch []*gathered) {
	entries := make([]Entry, len(batch))
	for i, w := range batch {
		entries[i] = w.Entry
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	last, err := g.batch(ctx, entries)
	cancel()
	first := last - uint64(len(batch)) + 1
	for i, w := range batch {
		w.turn <- turn{revision: first + uint64(i), err: err}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.together = false
	g.launch()
}

// landed takes note that a write that went by itself is done.
func (g *gatherer) landed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.apart--
	g.launch()
}

// leave takes a write out of the line whose caller waits no longer. It may be under way.
func (g *gatherer) leave(w *gathered) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.line, w); i >= 0 {
		g.line = slices.Delete(g.line, i, i+1)
		return
	}
	select {
	case t := <-w.turn:
		if t.apart { // given in this moment, and never used
			g.apart--
			g.launch()
		}
	default:
	}
}
