package feeder

import (
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// unsettled is how long an offer may be under way before it should be seen in the stream.
const unsettled = 2 * time.Second

// Compare takes the offers that a pool's lane has in the stream. Offers whose
// message is missing there are published again, under a new id: somebody
// acknowledged them without a claim. An offer that another gateway published
// counts as this one's. It returns the offers that belong to no queued job.
func (f *Feeder) Compare(name, laneName string, there []jobqueue.Place) (repaired int, stray []jobqueue.Place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := make(map[string]bool, len(there))
	for _, place := range there {
		key := schemas.RecordKey(place.Tenant, place.Job)
		seen[key] = true
		switch t := f.tickets[key]; {
		case t == nil || t.place != place:
			stray = append(stray, place)
		case t.at == atLane:
			f.lane(t).remove(t)
			f.inStream(t)
		}
	}
	p := f.pools[name]
	if p == nil || p.lanes[laneName] == nil {
		return 0, stray
	}
	for t := range p.lanes[laneName].offered {
		if seen[t.key] || f.cfg.Now().Sub(t.offeredAt) < unsettled {
			continue
		}
		t.feed, t.offeredAt = f.cfg.Now().UnixNano(), f.cfg.Now()
		f.cfg.Offer(t.offer())
		repaired++
	}
	return repaired, stray
}

// OfferedFor lists the offers of a lane that have been in the stream for so long.
func (f *Feeder) OfferedFor(name, laneName string, long time.Duration) []jobqueue.Place {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pools[name]
	if p == nil || p.lanes[laneName] == nil {
		return nil
	}
	var old []jobqueue.Place
	for t := range p.lanes[laneName].offered {
		if f.cfg.Now().Sub(t.offeredAt) > long {
			old = append(old, t.place)
		}
	}
	return old
}
