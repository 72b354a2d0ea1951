package api

import (
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
)

// TestTooManySaysWhen: Retry-After is whole seconds, never too early.
func TestTooManySaysWhen(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.jobs.full = &coordinator.FullError{What: "3 jobs are queued, at most 3 may be", After: 2100 * time.Millisecond}
	p := h.refused(t, kindTooMany, "POST", "/v1/jobs", `{"image":"gcc"}`)
	if p.Detail != "3 jobs are queued, at most 3 may be" {
		t.Errorf("problem %+v", p)
	}
	if got := h.request(t, "POST", "/v1/jobs", `{"image":"gcc"}`).Header.Get("Retry-After"); got != "3" {
		t.Errorf("Retry-After: %s", got)
	}
}
