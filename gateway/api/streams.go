package api

import (
	"net/http"
	"sync"
)

// streams counts the event streams that tenants have open at this gateway: each
// holds a connection and a place in memory for as long as its reader likes.
type streams struct {
	most int
	mu   sync.Mutex
	open map[string]int
}

func newStreams(most int) *streams { return &streams{most: most, open: map[string]int{}} }

// begin counts one more until done is called, or refuses it.
func (s *streams) begin(w http.ResponseWriter, tenant string) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[tenant] >= s.most {
		w.Header().Set("Retry-After", "5")
		return nil, kindTooManyStreams.problem("so many streams of events are open already", "one stream tells of all jobs: GET /v1/events")
	}
	s.open[tenant]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[tenant]--; s.open[tenant] == 0 {
			delete(s.open, tenant)
		}
	}, nil
}
