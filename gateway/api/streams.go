package api

import (
	"net/http"
	"sync"

	"github.com/program-explorer/pe/schemas"
)

const (
	// maxWaits bounds the long polls that one tenant has open at a gateway.
	maxWaits = 2000
	// maxUploads bounds the uploads of one tenant that are under way at a gateway.
	maxUploads = 200
)

var (
	tooManyStreams = kindTooManyStreams.problem("so many streams of events or long polls are open already", "one stream tells of all jobs: GET /v1/events")
	tooManyUploads = kindTooManyUploads.problem("so many of the tenant's uploads are under way already", "send fewer inputs at once")
)

// streams counts what tenants have open at this gateway, event streams, long polls or uploads: each
// holds a connection and a place in memory for as long as its client likes.
type streams struct {
	most    int
	refusal *schemas.ProblemDocument
	mu      sync.Mutex
	open    map[string]int
}

func newStreams(most int, refusal *schemas.ProblemDocument) *streams {
	return &streams{most: most, refusal: refusal, open: map[string]int{}}
}

// begin counts one more until done is called, or refuses it.
func (s *streams) begin(h http.Header, tenant string) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[tenant] >= s.most {
		h.Set("Retry-After", "5")
		return nil, s.refusal
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
