package retention

import (
	"sync"
	"time"

	"github.com/program-explorer/pe/gateway/history"
)

// spareFor is how long a page of history is left alone that was due, and of which
// nothing could expire: other jobs have the results of those in it.
const spareFor = time.Hour

// spared are such pages, as they were, and until when.
type spared struct {
	mu    sync.Mutex
	pages map[history.Due]time.Time
}

func (s *spared) add(d history.Due, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pages == nil {
		s.pages = map[history.Due]time.Time{}
	}
	s.pages[d] = now.Add(spareFor)
}

// others are the first of the pages that are not left alone.
func (s *spared) others(all []history.Due, now time.Time, most int) (others []history.Due) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d, until := range s.pages {
		if now.After(until) {
			delete(s.pages, d)
		}
	}
	for _, d := range all {
		if _, left := s.pages[d]; !left && len(others) < most {
			others = append(others, d)
		}
	}
	return others
}
