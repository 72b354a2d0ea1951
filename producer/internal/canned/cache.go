package canned

import (
	"net/http"
	"slices"

	"github.com/program-explorer/pe/schemas"
)

// cached is a new job with the result of an earlier one of the same image,
// arguments and architecture, if it asks for that. It is called with the lock held.
func (g *Gateway) cached(spec schemas.JobSpec) *job {
	if spec.Cache != schemas.CacheUse {
		return nil
	}
	for _, origin := range g.jobs {
		if origin.State != schemas.StateSucceeded || origin.Spec.Image != spec.Image || !slices.Equal(origin.Spec.Args, spec.Args) || origin.Spec.Requires.Arch != spec.Requires.Arch {
			continue
		}
		j := g.newJob(spec)
		j.script = origin.script
		result := *origin.Result
		result.Spans = nil // they are of another time
		j.State, j.Ended, j.Outcome, j.Result = origin.State, epoch, origin.Outcome, &result
		j.Cached = &schemas.Source{Job: origin.ID, Attempt: 1, EndedUS: origin.Ended}
		g.hits++
		return j
	}
	return nil
}

func (g *Gateway) cache(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	info := schemas.CacheInfo{Entries: int64(len(g.jobs) - g.hits), Hits: g.hits}
	if r.Method == http.MethodDelete {
		info.Entries, info.ClearedUS = 0, epoch
	}
	g.reply(w, http.StatusOK, "cache-info", info)
}
