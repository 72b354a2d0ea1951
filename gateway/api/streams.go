package api

import (
	"net/http"
	"sync"
)

// maxWaits bounds the long polls that one tenant has open at a gateway.
const maxWaits = 2000

// streams counts what tenants have open at this gateway, event streams or long polls: each
// holds a connection and a place in memory for as long as its reader likes.
type streams struct {
	most int
	mu   sync.Mutex
	open map[string]int
}

func newStreams(most int) *streams { return &streams{most: most, open: map[string]int{}} }

// begin counts one more until done is called, or refuses it.
func (s *streams) begin(h http.Header, tenant string) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[tenant] >= s.most {
		h.Set("Retry-After", "5")
		return nil, kindTooManyStreams.problem("so many streams of events or long polls are open already", "one stream tells of all jobs: GET /v1/events")
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
