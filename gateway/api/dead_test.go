package api

import (
	"net/http"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestDeadAndBack: what is dead can be retried or dropped, and nothing else.
func TestDeadAndBack(t *testing.T) {
	t.Parallel()
	h := start(t)
	job := h.submit(t, `{"image":"gcc"}`)
	at := "/v1/jobs/" + job.ID
	h.refused(t, kindNotDead, "POST", at+":retry", "")
	h.refused(t, kindNotDead, "POST", at+":drop", "")

	die := func() {
		r, err := h.jobs.Get(t.Context(), job.Tenant, job.ID)
		if err != nil {
			t.Fatal(err)
		}
		r.State, r.EndedUS, r.Failure = schemas.StateDead, 1, schemas.NewFailure(schemas.FailGuest, "it broke")
		h.jobs.set(r)
	}
	die()
	if again := ask[schemas.Job](t, h, http.StatusAccepted, "POST", at+":retry", ""); again.ID != job.ID || again.State != schemas.StateQueued {
		t.Errorf("retried: %+v", again)
	}
	die()
	if dropped := ask[schemas.Job](t, h, http.StatusOK, "POST", at+":drop", ""); dropped.State != schemas.StateDead || dropped.Failure == nil {
		t.Errorf("dropped: %+v", dropped)
	}
	h.refused(t, kindNotFound, "GET", at, "")
	h.refused(t, kindNotFound, "POST", at+":drop", "")
	h.refused(t, kindNotFound, "POST", "/v1/jobs/nonsense:retry", "")
}

func TestUnknownVerb(t *testing.T) {
	t.Parallel()
	h := start(t)
	job := h.submit(t, `{"image":"gcc"}`)
	for _, path := range []string{"/v1/jobs/" + job.ID + ":frobnicate", "/v1/jobs/" + job.ID + ":", "/v1/jobs/" + job.ID} {
		if resp := h.request(t, "POST", path, ""); resp.StatusCode != http.StatusNotFound {
			t.Errorf("POST %s: %d", path, resp.StatusCode)
		}
	}
	if resp := h.request(t, "POST", "/v1/jobs/"+job.ID+":drop", "", "Origin", "http://evil.test"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign page drops a job: %d", resp.StatusCode)
	}
}
