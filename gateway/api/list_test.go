package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// What every change of a job is compared with stays short, whatever a client sends.
func TestStatesOfAFilter(t *testing.T) {
	t.Parallel()
	h := start(t)
	most := strings.TrimSuffix(strings.Repeat("queued,", maxStates), ",")
	ask[schemas.JobList](t, h, http.StatusOK, "GET", "/v1/jobs?state="+most, "")
	for _, query := range []string{most + ",failed", most + "&state=failed", "queue", ""} {
		h.refused(t, kindMalformed, "GET", "/v1/jobs?state="+query, "")
		h.refused(t, kindMalformed, "GET", "/v1/events?state="+query, "")
	}
	if states, err := statesOf([]string{most, "failed,queued"}); err == nil {
		t.Errorf("%d states are taken: %v", maxStates+2, states)
	}
	if states, err := statesOf([]string{"queued,failed", "queued"}); err != nil || len(states) != 2 {
		t.Errorf("%v, %v: want two states", states, err)
	}
	if states, err := statesOf(nil); err != nil || states != nil {
		t.Errorf("%v, %v: want any state", states, err)
	}
}
