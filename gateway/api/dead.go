package api

import (
	"net/http"
	"strconv"
	"strings"
)

// retryJob queues a dead job again.
func (a *API) retryJob(w http.ResponseWriter, r *http.Request, tenant string) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	record, err := a.Jobs.Retry(r.Context(), tenant, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, a.answerFor(callerOf(r.Context()), record))
}

// dropJob removes a dead job for good, and answers with its last state.
func (a *API) dropJob(w http.ResponseWriter, r *http.Request, tenant string) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	record, err := a.Jobs.Drop(r.Context(), tenant, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, a.answerFor(callerOf(r.Context()), record))
}

// byVerb serves the routes whose pattern ends in {id}:VERB, or with another parameter: the
// mux's patterns know no such thing, and take id and verb as one.
func (a *API) byVerb(param string, verbs map[string]route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, verb, _ := strings.Cut(r.PathValue(param), ":")
		rt, ok := verbs[verb]
		if !ok {
			rt = route{pattern: "unmatched", serve: noVerb, public: true}
		}
		r.SetPathValue(param, id)
		a.exchange(rt, w, r)
	}
}

func noVerb(_ http.ResponseWriter, r *http.Request, _ string) error {
	return kindNotFound.problem("no such path: "+strconv.QuoteToASCII(clip(r.URL.Path)), "GET /openapi.json lists what there is")
}
