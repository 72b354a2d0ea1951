package api

import "net/http"

// usage answers with what the tenant has and may have, and how often the token
// that asks may be used.
func (a *API) usage(w http.ResponseWriter, r *http.Request, tenant string) error {
	u, err := a.Jobs.Usage(tenant)
	if err != nil {
		return err
	}
	if callerOf(r.Context()).Token != "" { // the single user has no limit
		u.RequestsPerS, u.RequestsAtOnce = a.Limits.PerToken()
	}
	return writeJSON(w, http.StatusOK, u)
}
