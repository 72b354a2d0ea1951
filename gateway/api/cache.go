package api

import (
	"net/http"

	"github.com/program-explorer/pe/schemas"
)

// cacheInfo says what the tenant's cache of results holds.
func (a *API) cacheInfo(w http.ResponseWriter, r *http.Request, tenant string) error {
	info, err := a.Jobs.CacheInfo(r.Context(), tenant)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, info)
}

// clearCache has no result given again that was produced, or asked for, before
// now, and says what the cache holds then; to whoever may not read, since when alone.
func (a *API) clearCache(w http.ResponseWriter, r *http.Request, tenant string) error {
	if err := a.Jobs.ClearCache(r.Context(), tenant); err != nil {
		return err
	}
	info, err := a.Jobs.CacheInfo(r.Context(), tenant)
	if err != nil {
		return err
	}
	if !callerOf(r.Context()).May(schemas.ScopeRead) {
		info = schemas.CacheInfo{ClearedUS: info.ClearedUS}
	}
	return writeJSON(w, http.StatusOK, info)
}
