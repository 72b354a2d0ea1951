package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// Bounds of a page of jobs.
const (
	defaultPage = 50
	maxPage     = 500
	maxCursor   = 200 // bytes
	maxStates   = 32  // that a filter names, some of them again
)

// listJobs answers with a page of jobs. The index selects them; records of those
// that have ended are read from the bucket, one for each job of the page.
func (a *API) listJobs(w http.ResponseWriter, r *http.Request, tenant string) error {
	filter, after, limit, err := pageOf(r.URL.Query())
	if err != nil {
		return err
	}
	records, next, err := a.Jobs.List(r.Context(), tenant, filter, after, limit)
	if err != nil {
		return err
	}
	list := schemas.JobList{Jobs: make([]schemas.Job, 0, len(records)), Next: next}
	for _, record := range records {
		list.Jobs = append(list.Jobs, a.outline(record))
	}
	return a.writeLarge(w, r, tenant, list)
}

// pageOf reads the query of a list: cursor, limit, and what filterOf reads.
func pageOf(q url.Values) (f coordinator.Filter, after string, limit int, err error) {
	limit = defaultPage
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPage {
			return f, "", 0, kindMalformed.problemf("limit=%.20q: want a number from 1 to %d", text, maxPage)
		}
	}
	if after = q.Get("cursor"); len(after) > maxCursor {
		return f, "", 0, kindMalformed.problem("cursor is none of this list", "pass next of the page before as it was")
	}
	f, err = filterOf(q)
	return f, after, limit, err
}

// filterOf reads any number of state= and label=key=value.
func filterOf(q url.Values) (f coordinator.Filter, err error) {
	if f.States, err = statesOf(q["state"]); err != nil {
		return f, err
	}
	for _, text := range q["label"] {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" || len(q["label"]) > schemas.MaxLabels {
			return f, kindMalformed.problem(fmt.Sprintf("label=%.80q: want label=key=value, at most %d of them", text, schemas.MaxLabels), "")
		}
		if f.Labels == nil {
			f.Labels = map[string]string{}
		}
		f.Labels[key] = value
	}
	return f, nil
}

// statesOf reads lists of states. Each is in the answer once: every change of a
// job is held against all of them.
func statesOf(lists []string) (states []schemas.State, err error) {
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			state := schemas.State(name)
			if !state.Valid() {
				return nil, kindMalformed.problem(fmt.Sprintf("state=%.40q is none of %v", name, schemas.States), "")
			}
			if states = append(states, state); len(states) > maxStates {
				return nil, kindMalformed.problemf("state= names more than %d states", maxStates)
			}
		}
	}
	slices.Sort(states)
	return slices.Compact(states), nil
}
