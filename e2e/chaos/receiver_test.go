package chaos

import (
	"encoding/json"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/program-explorer/pe/e2e/chaos/check"
)

// receiver is told of the ends of jobs. The first request of some deliveries it
// refuses, of some it takes and then breaks off.
type receiver struct {
	server  *httptest.Server
	history *history

	mu    sync.Mutex
	tries map[string]int // by delivery
	taken map[told]bool
}

// told is an end: a dead job that was brought back has another.
type told struct {
	job   check.JobName
	state string
}

func newReceiver(h *history) *receiver {
	r := &receiver{history: h, tries: map[string]int{}, taken: map[told]bool{}}
	r.server = httptest.NewServer(http.HandlerFunc(r.receive))
	return r
}

// url is where jobs of a tenant are told: payloads do not name the tenant.
func (r *receiver) url(tenant string) string { return r.server.URL + "/" + tenant }

func (r *receiver) receive(w http.ResponseWriter, req *http.Request) {
	var event struct {
		Data struct {
			ID    string `json:"id"`
			State string `json:"state"`
		} `json:"data"`
	}
	if err := json.NewDecoder(req.Body).Decode(&event); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	id := req.Header.Get("webhook-id")
	job := check.JobName{Tenant: strings.TrimPrefix(req.URL.Path, "/"), Job: event.Data.ID}
	r.mu.Lock()
	r.tries[id]++
	status, breaks := mood(id, r.tries[id])
	end := told{job, event.Data.State}
	r.taken[end] = r.taken[end] || status == http.StatusNoContent
	r.mu.Unlock()
	r.history.add(check.Line{Receipt: &check.Receipt{ID: id, JobName: job, State: event.Data.State, Status: status, AtUS: now()}})
	if breaks {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
}

// mood is how a try is answered.
func mood(id string, try int) (status int, breaks bool) {
	h := fnv.New32a()
	h.Write([]byte(id))
	switch n := h.Sum32() % 20; {
	case try > 1 || n > 2:
		return http.StatusNoContent, false
	case n > 0:
		return http.StatusServiceUnavailable, false
	}
	return http.StatusNoContent, true // it has heard, and nobody knows
}

// knows says whether it has taken that a job ended so.
func (r *receiver) knows(job check.JobName, state string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken[told{job, state}]
}

func (r *receiver) close() { r.server.Close() }
