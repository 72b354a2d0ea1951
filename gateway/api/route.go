package api

import (
	"net/http"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// A handler serves one route for a tenant. An error becomes a problem document
// if nothing has been sent yet, and breaks the connection if something has.
type handler func(w http.ResponseWriter, r *http.Request, tenant string) error

// A route is one entry of the API. Every one is described in openapi.json; a
// test holds the two against each other.
type route struct {
	method string
	// pattern is one of the mux's, or such a one with :VERB behind its last parameter.
	pattern string
	serve   handler
	// scope is what a caller's token must allow. A route has one, or is public:
	// without either nobody may use it.
	scope schemas.Scope
	// of says whose the route's matters are.
	of realm
	// public routes need no token: they tell nothing of anybody's jobs.
	public bool
	// json says that the body must be declared as application/json.
	json bool
	// body is the most bytes that a body may have; 0 for none.
	body int64
}

// A realm is whose matters a route is about, and so whose tokens it takes.
type realm int

const (
	ofTenant realm = iota // one tenant's: not for tokens of the whole system, which act for none
	ofSystem              // the whole system's: for its tokens alone
	ofBoth                // each sees its own part
)

func (a *API) routes() []route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	const submit, read, admin = schemas.ScopeSubmit, schemas.ScopeRead, schemas.ScopeAdmin
	return []route{
		{method: post, pattern: "/v1/jobs", serve: a.submit, scope: submit, json: true, body: schemas.MaxSpecBytes},
		{method: post, pattern: "/v1/jobs:batch", serve: a.submitBatch, scope: submit, json: true, body: schemas.MaxBatchBytes},
		{method: get, pattern: "/v1/jobs", serve: a.listJobs, scope: read},
		{method: get, pattern: "/v1/jobs/{id}", serve: a.getJob, scope: read},
		{method: del, pattern: "/v1/jobs/{id}", serve: a.cancelJob, scope: submit},
		{method: post, pattern: "/v1/jobs/{id}:retry", serve: a.retryJob, scope: submit},
		{method: post, pattern: "/v1/jobs/{id}:drop", serve: a.dropJob, scope: submit},
		{method: get, pattern: "/v1/jobs/{id}/logs", serve: a.logs, scope: read},
		{method: get, pattern: "/v1/jobs/{id}/outputs", serve: a.outputs, scope: read},
		{method: get, pattern: "/v1/jobs/{id}/outputs/{path...}", serve: a.outputFile, scope: read},
		{method: get, pattern: "/v1/events", serve: a.jobEvents, scope: read},
		{method: put, pattern: "/v1/blobs/{sha256}", serve: a.putBlob, scope: submit, body: a.MaxBlobBytes},
		{method: post, pattern: "/v1/blobs/missing", serve: a.missingBlobs, scope: submit, json: true, body: maxMissingBody},
		{method: get, pattern: "/v1/cache", serve: a.cacheInfo, scope: read},
		{method: del, pattern: "/v1/cache", serve: a.clearCache, scope: submit},
		{method: post, pattern: "/v1/webhooks", serve: a.hooked(a.createWebhook), scope: admin, json: true, body: schemas.MaxWebhookBytes},
		{method: get, pattern: "/v1/webhooks", serve: a.hooked(a.listWebhooks), scope: read},
		{method: get, pattern: "/v1/webhooks/{id}", serve: a.hooked(a.getWebhook), scope: read},
		{method: http.MethodPatch, pattern: "/v1/webhooks/{id}", serve: a.hooked(a.updateWebhook), scope: admin, json: true, body: schemas.MaxWebhookBytes},
		{method: del, pattern: "/v1/webhooks/{id}", serve: a.hooked(a.deleteWebhook), scope: admin},
		{method: post, pattern: "/v1/webhooks/{id}:test", serve: a.hooked(a.testWebhook), scope: submit},
		{method: post, pattern: "/v1/webhooks/{id}:rotate", serve: a.hooked(a.rotateWebhook), scope: admin, json: true, body: schemas.MaxWebhookBytes},
		{method: get, pattern: "/v1/webhooks/secret", serve: a.hooked(a.callbackSecret), scope: admin},
		{method: post, pattern: "/v1/webhooks/secret:rotate", serve: a.hooked(a.rotateCallbackSecret), scope: admin, json: true, body: schemas.MaxWebhookBytes},
		{method: get, pattern: "/v1/webhooks/deliveries", serve: a.hooked(a.listDeliveries), scope: read},
		{method: post, pattern: "/v1/webhooks/deliveries/{id}:replay", serve: a.hooked(a.replayDelivery), scope: submit},
		{method: put, pattern: "/v1/campaigns/{name}", serve: a.campaigning(a.createCampaign), scope: submit, json: true, body: schemas.MaxCampaignBytes},
		{method: get, pattern: "/v1/campaigns", serve: a.listCampaigns, scope: read},
		{method: get, pattern: "/v1/campaigns/{name}", serve: a.campaigning(a.getCampaign), scope: read},
		{method: post, pattern: "/v1/campaigns/{name}:close", serve: a.campaigning(a.closeCampaign), scope: submit},
		{method: del, pattern: "/v1/campaigns/{name}", serve: a.campaigning(a.deleteCampaign), scope: submit},
		{method: get, pattern: "/v1/usage", serve: a.usage, scope: read},
		{method: get, pattern: "/v1/executors", serve: a.executors, scope: read, of: ofBoth},
		{method: get, pattern: "/v1/images", serve: a.images, scope: read, of: ofBoth},
		{method: post, pattern: "/v1/tokens", serve: a.createToken, scope: admin, of: ofBoth, json: true, body: schemas.MaxTokenRequestBytes},
		{method: get, pattern: "/v1/tokens", serve: a.listTokens, scope: admin, of: ofBoth},
		{method: del, pattern: "/v1/tokens/{id}", serve: a.revokeToken, scope: admin, of: ofBoth},
		{method: post, pattern: "/v1/admin/sweep", serve: a.sweep, scope: admin, of: ofSystem, json: true, body: schemas.MaxSweepRequestBytes},
		{method: get, pattern: "/livez", serve: a.live, public: true},
		{method: get, pattern: "/readyz", serve: a.ready, public: true},
		{method: get, pattern: "/metrics", serve: a.metricsPage, scope: read, of: ofSystem},
		{method: get, pattern: "/openapi.json", serve: a.openAPI, public: true},
		{method: get, pattern: "/{$}", serve: a.index, public: true},
	}
}

// objectsPrefix is where the directory store's signed URLs point.
const objectsPrefix = "/v1/objects/"

// stretch gives the connection d from now for what is left of this request and
// its answer. Long polls and streams use it: the server's own time-outs are
// those of a short exchange.
func stretch(w http.ResponseWriter, d time.Duration) {
	rc := http.NewResponseController(w)
	deadline := time.Now().Add(d)
	// A connection without deadlines (a test's recorder) has none to move.
	_ = rc.SetWriteDeadline(deadline)
	// The server reads ahead to notice a client that leaves; that read running
	// into its deadline would cancel the request.
	_ = rc.SetReadDeadline(deadline)
}
