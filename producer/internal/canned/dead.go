package canned

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// verb serves POST /v1/jobs/{id}:retry and :drop. A job whose arguments are
// "gone" cannot be brought back.
func (g *Gateway) verb(w http.ResponseWriter, r *http.Request) {
	id, verb, _ := strings.Cut(r.PathValue("id"), ":")
	r.SetPathValue("id", id)
	serve := map[string]func(http.ResponseWriter, *http.Request, *job){"retry": g.retry, "drop": g.drop}[verb]
	g.withJob(serve)(w, r)
}

func (g *Gateway) retry(w http.ResponseWriter, _ *http.Request, j *job) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !g.dead(w, j):
	case slices.Contains(j.Spec.Args, "gone"):
		g.problem(w, http.StatusGone, "gone", "What the job needs is gone", "input main.c of job "+j.ID+": what the job needs is gone",
			"submit it anew, with its inputs, and drop this one")
	default:
		j.State, j.Failure, j.Ended = schemas.StateQueued, nil, 0
		g.reply(w, http.StatusAccepted, "job", j.Job)
	}
}

func (g *Gateway) drop(w http.ResponseWriter, _ *http.Request, j *job) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead(w, j) {
		g.jobs = slices.DeleteFunc(g.jobs, func(x *job) bool { return x == j })
		g.reply(w, http.StatusOK, "job", j.Job)
	}
}

// dead refuses a job that is not.
func (g *Gateway) dead(w http.ResponseWriter, j *job) bool {
	if j.State == schemas.StateDead {
		return true
	}
	g.problem(w, http.StatusConflict, "not-dead", "The job is not dead", fmt.Sprintf("job %s is %s: the job is not dead", j.ID, j.State),
		"GET /v1/jobs?state=dead lists those that can be retried or dropped")
	return false
}
