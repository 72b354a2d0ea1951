package feeder

import (
	"fmt"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
)

// ticket is a queued job.
type ticket struct {
	key   string
	place jobqueue.Place
	rev   uint64
	// feed is when it was last offered anew, in nanoseconds, for each offer must have
	// another id; 0 for not yet.
	feed int64
	due  time.Time
	at   whereabouts
	// offeredAt is when it was last given to offer.
	offeredAt time.Time
	// expires is when its wait ends, in microseconds since the Unix epoch, or 0;
	// index is its place among those that do.
	expires int64
	index   int
	// before and behind are its neighbours in the lane.
	before, behind *ticket
}

type whereabouts uint8

const (
	atDelay whereabouts = iota
	atLane
	atStream
	atLeader // it waits for another job's result, and is not offered
	atEnd    // no longer queued
)

func (t *ticket) offer() Offer { return Offer{t.place, t.id(), t} }

// id of a ticket's offer: the revision of the queued record rises with each wait.
func (t *ticket) id() string {
	if t.feed == 0 {
		return fmt.Sprintf("%s.%d", t.place.Job, t.rev)
	}
	return fmt.Sprintf("%s.%d.%d", t.place.Job, t.rev, t.feed)
}
