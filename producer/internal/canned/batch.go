package canned

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"

	"github.com/program-explorer/pe/schemas"
)

// submitBatch submits each job as if it had come alone; with mode all, none if one is refused.
func (g *Gateway) submitBatch(w http.ResponseWriter, r *http.Request) {
	posted, problems, err := schemas.DecodeBatch(r.Body)
	if err != nil || len(problems) > 0 {
		g.problem(w, http.StatusUnprocessableEntity, "invalid-job", "The job specification is not valid", "", "", problems...)
		return
	}
	g.mu.Lock()
	before := len(g.jobs)
	g.mu.Unlock()
	var reply schemas.BatchReply
	for i, raw := range posted.Jobs {
		one := httptest.NewRecorder()
		g.submit(one, httptest.NewRequest(http.MethodPost, "/v1/jobs", bytes.NewReader(raw)))
		item := schemas.BatchItem{}
		if one.Code/100 == 2 {
			item.Job = decoded[schemas.Job](g, one)
			item.Job.Spec = nil
		} else {
			item.Problem = decoded[schemas.ProblemDocument](g, one)
			if item.Problem.Problems = schemas.InBatch(i, item.Problem.Problems); len(item.Problem.Problems) == 0 {
				item.Problem.Problems = []schemas.Problem{{Pointer: "/jobs/" + strconv.Itoa(i), Message: item.Problem.Error()}}
			}
			problems = append(problems, item.Problem.Problems...)
		}
		reply.Jobs = append(reply.Jobs, item)
	}
	if len(problems) > 0 && posted.Mode == schemas.BatchAll {
		g.mu.Lock()
		g.jobs = g.jobs[:before]
		g.mu.Unlock()
		g.problem(w, http.StatusUnprocessableEntity, "invalid-job", "The job specification is not valid", "", "", problems...)
		return
	}
	g.reply(w, http.StatusAccepted, "batch-reply", reply)
}

func decoded[T any](g *Gateway, answer *httptest.ResponseRecorder) *T {
	v := new(T)
	if err := json.Unmarshal(answer.Body.Bytes(), v); err != nil {
		g.t.Error(err)
	}
	return v
}
