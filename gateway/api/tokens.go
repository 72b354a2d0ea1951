package api

import (
	"net/http"

	"github.com/program-explorer/pe/schemas"
)

// createToken makes an access token. The answer is the only one that ever holds its secret.
func (a *API) createToken(w http.ResponseWriter, r *http.Request, _ string) error {
	want, err := schemas.DecodeAccessTokenRequest(r.Body)
	if err != nil {
		return err
	}
	made, err := a.Tokens.Create(r.Context(), callerOf(r.Context()), want)
	if err != nil {
		return err
	}
	a.Log.Info("access token made", "token", made.ID, "tenant", made.Tenant, "scopes", scopeList(made.Scopes), "by", made.Creator)
	w.Header().Set("Location", "/v1/tokens/"+made.ID)
	return writeJSON(w, http.StatusCreated, made)
}

// listTokens answers with the tokens of the caller's tenant, or of all.
func (a *API) listTokens(w http.ResponseWriter, r *http.Request, tenant string) error {
	return a.writeLarge(w, r, tenant, schemas.AccessTokenList{Tokens: a.Tokens.List(callerOf(r.Context()))})
}

// revokeToken ends a token for good; one that is revoked already stays as it is.
func (a *API) revokeToken(w http.ResponseWriter, r *http.Request, _ string) error {
	by := callerOf(r.Context())
	revoked, err := a.Tokens.Revoke(r.Context(), by, r.PathValue("id"))
	if err != nil {
		return err
	}
	if own, ok := w.(*answer); ok {
		own.finish()
	}
	a.Log.Info("access token revoked", "token", revoked.ID, "tenant", revoked.Tenant, "by", by.Token)
	return writeJSON(w, http.StatusOK, revoked)
}
