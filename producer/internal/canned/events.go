package canned

import (
	"net/http"
	"strconv"

	"github.com/program-explorer/pe/schemas"
)

// events tells a short story of three jobs in three connections: the first breaks off
// after a job, the second repeats output and breaks off after an id without an event, the third
// goes on for as long as somebody listens.
func (g *Gateway) events(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("Last-Event-ID")
	if id != "" && id != "0" && id != "11" && id != "20" {
		g.problem(w, http.StatusBadRequest, "malformed", "The request is malformed", "no change of a job has had this number yet", "")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	s := sender{Gateway: g, w: w}
	begin := schemas.JobEventsBeginning{}
	if r.URL.Query().Get("output") == "1" {
		begin.Outputs = 16
	}
	labels := map[string]string{}
	for _, label := range r.URL.Query()["label"] {
		labels["asked"] = label
	}
	job := func(id, job string, e schemas.JobChange) {
		e.Job, e.Created = job, epoch
		s.event(id, schemas.JobEventsJob, "job-change", e)
	}
	text := func(id string, offset int64, data string) {
		if begin.Outputs > 0 {
			s.event(id, schemas.StreamStdout, "job-text", schemas.JobText{Job: one, Attempt: 1, StreamText: schemas.NewStreamText(offset, []byte(data))})
		}
	}
	switch id {
	case "", "0":
		s.event("9", schemas.JobEventsBegin, "job-events-beginning", begin)
		job("10", one, schemas.JobChange{State: schemas.StateQueued, Labels: labels})
		job("11", one, schemas.JobChange{State: schemas.StateRunning, Attempt: 1, Executor: "local"})
		text("11", 0, "first\nsec")
	case "11":
		s.event("11", schemas.JobEventsBegin, "job-events-beginning", begin)
		text("11", 0, "first\nsec")
		text("11", 9, "ond\x1b[2J\n")
		code := 7
		job("14", one, schemas.JobChange{State: schemas.StateFailed, Attempt: 1, Executor: "local", Ended: epoch + 1, Outcome: &schemas.Outcome{ExitCode: &code}})
		_, _ = w.Write([]byte("event: newer-kind\ndata: {}\n\nid: 20\n\n"))
		_ = http.NewResponseController(w).Flush()
	case "20":
		s.event("20", schemas.JobEventsBegin, "job-events-beginning", begin)
		// On and on, so that a client finds out that nobody reads what it prints.
		for id := 21; r.Context().Err() == nil; id++ {
			job(strconv.Itoa(id), two, schemas.JobChange{State: schemas.StateDead, Ended: epoch + 2, Failure: schemas.NewFailure(schemas.FailMachine, "no machine")})
		}
	}
	panic(http.ErrAbortHandler)
}

const (
	one = "j01h8x3vz9k6tqc2n4m5p70001"
	two = "j01h8x3vz9k6tqc2n4m5p70002"
)
