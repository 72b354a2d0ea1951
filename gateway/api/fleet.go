package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// executors answers GET /v1/executors. Which jobs an executor holds is told to
// their own tenant alone, and so is who may require it by name.
func (a *API) executors(w http.ResponseWriter, r *http.Request, tenant string) error {
	list := schemas.ExecutorList{Executors: []schemas.Executor{}}
	for _, e := range a.Jobs.Executors() {
		own := make([]schemas.Held, 0, len(e.Held))
		for _, h := range e.Held {
			if h.Tenant == tenant {
				own = append(own, h)
			}
		}
		e.Held = own
		e.Owner, e.Tenants = ownNames(e.Facts, tenant)
		list.Executors = append(list.Executors, e)
	}
	return a.writeLarge(w, r, tenant, list)
}

// ownNames leaves of the tenants that may require an executor by name what
// concerns one: whether it is among them.
func ownNames(f schemas.Facts, tenant string) (owner string, tenants []string) {
	switch {
	case f.Owner == tenant:
		return f.Owner, f.Tenants
	case f.Owner == "" && len(f.Tenants) == 0:
		return "", nil
	case f.NamedBy(tenant):
		return f.Owner, []string{tenant}
	}
	return f.Owner, nil
}

// health is the body of /livez and /readyz.
type health struct {
	Status string `json:"status"`
	// Parts says of each part whether it is ready.
	Parts map[string]string `json:"parts,omitempty"`
	// Reasons says why, of parts that are not.
	Reasons map[string]string `json:"reasons,omitempty"`
}

// live says that the process answers, and no more.
func (a *API) live(w http.ResponseWriter, _ *http.Request, _ string) error {
	return writeJSON(w, http.StatusOK, health{Status: "ok"})
}

// readyTimeout bounds the checks of /readyz together.
const readyTimeout = 2 * time.Second

// Reason is an error of a check that /readyz shows: it must tell a stranger nothing
// but why no jobs are taken.
type Reason string

func (r Reason) Error() string { return string(r) }

// ready says whether jobs can be taken, and if not, which part is missing. The
// detail of a failure goes to the log alone, unless it is a Reason: anybody may ask.
func (a *API) ready(w http.ResponseWriter, r *http.Request, _ string) error {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	h, status := health{Status: "ok", Parts: map[string]string{}, Reasons: map[string]string{}}, http.StatusOK
	check := func(name string, err error) {
		h.Parts[name] = "ok"
		if err != nil {
			a.Log.Debug("not ready", "part", name, "err", err)
			h.Parts[name], h.Status, status = "not ready", "not ready", http.StatusServiceUnavailable
			var why Reason
			if errors.As(err, &why) {
				h.Reasons[name] = string(why)
			}
		}
	}
	check("coordinator", a.Jobs.Ready())
	if store, ok := a.Store.(interface{ Check(context.Context) error }); ok {
		check("store", store.Check(ctx))
	}
	for _, name := range sortedKeys(a.Checks) {
		check(name, a.Checks[name](ctx))
	}
	if status != http.StatusOK {
		w.Header().Set("Retry-After", "1")
	}
	return writeJSON(w, status, h)
}
