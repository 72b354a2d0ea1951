package job

import (
	"slices"
	"sync"
	"time"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// clock ends an Inside's program when its time is over, and looks whether it has all the processes that it may have.
type clock struct {
	begin time.Time
	pids  *PIDsGroup
	quit  chan struct{}
	gone  chan struct{}

	mu   sync.Mutex
	seen []string
	end  string
}

func newClock(l guestproto.Limits, pids *PIDsGroup) *clock {
	c := &clock{begin: time.Now(), pids: pids, quit: make(chan struct{}), gone: make(chan struct{})}
	go c.run(time.Duration(l.WallMS) * time.Millisecond)
	return c
}

func (c *clock) run(wall time.Duration) {
	defer close(c.gone)
	over := time.NewTimer(wall)
	defer over.Stop()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-c.quit:
			c.look(1) // the program itself
			return
		case <-over.C:
			c.note(guestproto.LimitWall)
			c.end = guestproto.LimitWall // read after gone
			killOthers()
		case <-ticker.C:
			c.look(0)
		}
	}
}

// look notes whether the processes are as many as allowed.
func (c *clock) look(ended int64) {
	if c.pids != nil && c.pids.full(ended) {
		c.note(guestproto.LimitPIDs)
	}
}

func (c *clock) note(limit string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = withLimit(c.seen, limit)
}

func (c *clock) stop() {
	close(c.quit)
	<-c.gone
}

func (c *clock) hits() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen)
}

func (c *clock) ended() string { return c.end }
