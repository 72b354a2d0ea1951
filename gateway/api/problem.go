package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/program-explorer/pe/gateway/campaign"
	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/gateway/retention"
	"github.com/program-explorer/pe/gateway/webhook"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// A kind is one sort of problem: the last part of its type URN, its title and its status.
type kind struct {
	name   string
	title  string
	status int
}

// The kinds of problems. docs/api.md lists them for users.
var (
	kindMalformed      = kind{"malformed", "The request is malformed", http.StatusBadRequest}
	kindUnauthorized   = kind{"unauthorized", "An access token is needed", http.StatusUnauthorized}
	kindForbidden      = kind{"forbidden", "The request comes from a place that may not use this API", http.StatusForbidden}
	kindScope          = kind{"missing-scope", "The access token does not allow this", http.StatusForbidden}
	kindNotFound       = kind{"not-found", "There is no such thing here", http.StatusNotFound}
	kindMethod         = kind{"method-not-allowed", "This method is not allowed here", http.StatusMethodNotAllowed}
	kindNotEnded       = kind{"not-ended", "The job has not ended", http.StatusConflict}
	kindNotDead        = kind{"not-dead", "The job is not dead", http.StatusConflict}
	kindDeadline       = kind{"deadline-over", "The job's deadline is over", http.StatusConflict}
	kindGone           = kind{"gone", "What the job needs is gone", http.StatusGone}
	kindExpired        = kind{"expired", "It was deleted after its time", http.StatusGone}
	kindNotAFile       = kind{"not-a-file", "The output is not a regular file", http.StatusConflict}
	kindConflict       = kind{"conflict", "The request contradicts an earlier one", http.StatusConflict}
	kindLength         = kind{"wrong-length", "The body has the wrong length", http.StatusBadRequest}
	kindDigest         = kind{"wrong-digest", "The body does not have the digest in its address", http.StatusUnprocessableEntity}
	kindTooLarge       = kind{"too-large", "The body is too large", http.StatusRequestEntityTooLarge}
	kindRange          = kind{"range", "No byte of the range is there", http.StatusRequestedRangeNotSatisfiable}
	kindMediaType      = kind{"media-type", "The body's media type is not supported", http.StatusUnsupportedMediaType}
	kindInvalid        = kind{"invalid-job", "The job specification is not valid", http.StatusUnprocessableEntity}
	kindInvalidToken   = kind{"invalid-token", "The access token cannot be made like this", http.StatusUnprocessableEntity}
	kindWebhook        = kind{"invalid-webhook", "What is asked of the webhook is not valid", http.StatusUnprocessableEntity}
	kindAddress        = kind{"address-not-allowed", "Nothing is sent to this address", http.StatusUnprocessableEntity}
	kindCampaign       = kind{"invalid-campaign", "The campaign cannot be made like this", http.StatusUnprocessableEntity}
	kindCampaignClosed = kind{"campaign-closed", "The campaign takes no more jobs", http.StatusConflict}
	kindManyCampaigns  = kind{"too-many-campaigns", "There are as many campaigns as there may be", http.StatusTooManyRequests}
	kindSweeping       = kind{"sweeping", "Another sweep is under way", http.StatusConflict}
	kindDisabled       = kind{"webhook-disabled", "The webhook is not told at present", http.StatusConflict}
	kindManyWebhooks   = kind{"too-many-webhooks", "There are as many webhooks as there may be", http.StatusConflict}
	kindUnknownImage   = kind{"unknown-image", "The image cannot be had", http.StatusUnprocessableEntity}
	kindImageArch      = kind{"image-arch", "The image does not have this architecture", http.StatusUnprocessableEntity}
	kindImageForbidden = kind{"image-not-allowed", "The image is not on the list of images that may be run", http.StatusUnprocessableEntity}
	kindTooMany        = kind{"too-many-jobs", "Too many jobs wait already", http.StatusTooManyRequests}
	kindTooMuchStored  = kind{"too-much-stored", "The tenant has as much stored as it may", http.StatusTooManyRequests}
	kindTooManyStreams = kind{"too-many-streams", "Too many streams of events are open", http.StatusTooManyRequests}
	kindManyDeliveries = kind{"too-many-deliveries", "Too many deliveries are on their way already", http.StatusTooManyRequests}
	kindTooManyBatches = kind{"too-many-batches", "Too much of the tenant's batches is under way", http.StatusTooManyRequests}
	kindRateLimit      = kind{"rate-limit", "Too many requests", http.StatusTooManyRequests}
	kindNoExecutor     = kind{"no-executor", "No executor can run the job", http.StatusUnprocessableEntity}
	kindRegistry       = kind{"registry", "The image's registry did not answer", http.StatusBadGateway}
	kindUnavailable    = kind{"unavailable", "The gateway is not ready", http.StatusServiceUnavailable}
	kindBusy           = kind{"busy", "The gateway has too much under way", http.StatusServiceUnavailable}
	kindFull           = kind{"store-full", "The object store is full", http.StatusInsufficientStorage}
	kindTimeout        = kind{"timeout", "The request took too long", http.StatusGatewayTimeout}
	kindLost           = kind{"object-lost", "The object store has lost it", http.StatusInternalServerError}
	kindInternal       = kind{"internal", "Something went wrong inside the gateway", http.StatusInternalServerError}
)

// problem makes a problem document; the detail is one line for the user.
func (k kind) problem(detail, hint string) *schemas.ProblemDocument {
	return &schemas.ProblemDocument{
		Type: schemas.ProblemTypePrefix + k.name, Title: k.title, Status: k.status, Detail: detail, Hint: hint,
	}
}

func (k kind) problemf(format string, args ...any) *schemas.ProblemDocument {
	return k.problem(fmt.Sprintf(format, args...), "")
}

// invalid lists what is wrong with a posted document.
func invalid(problems []schemas.Problem) *schemas.ProblemDocument {
	detail := problems[0].Pointer + ": " + problems[0].Message
	if more := len(problems) - 1; more > 0 {
		detail += fmt.Sprintf(" (and %d more)", more)
	}
	p := kindInvalid.problem(detail, "the fields of a job are described in docs/job-spec.md and in /openapi.json")
	p.Problems = problems
	return p
}

// problemOf is the one place that turns an error into a status. Errors that it
// does not know are internal: the user gets a bland line, the log the detail.
func problemOf(err error) *schemas.ProblemDocument {
	var document *schemas.ProblemDocument
	var tooLarge *http.MaxBytesError
	var syntax *schemas.SyntaxError
	var image *ImageError
	var lost *jobresult.LostError
	if refused := accessProblem(err); refused != nil {
		return refused
	}
	switch {
	case errors.As(err, &document):
		return document
	case errors.Is(err, coordinator.ErrNotFound):
		return kindNotFound.problem("there is no such job", "GET /v1/jobs lists the jobs that there are")
	case errors.Is(err, coordinator.ErrNotDead):
		return kindNotDead.problem(err.Error(), "GET /v1/jobs?state=dead lists those that can be retried or dropped")
	case errors.Is(err, coordinator.ErrDeadlineOver):
		return kindDeadline.problem(err.Error(), "submit it anew")
	case errors.Is(err, coordinator.ErrObjectsGone):
		return kindGone.problem(err.Error(), "submit it anew, with its inputs, and drop this one")
	case errors.Is(err, coordinator.ErrKeyReused):
		return kindConflict.problem(err.Error(), "use a new idempotency_key for another job")
	case errors.Is(err, coordinator.ErrTooMuchStored):
		return kindTooMuchStored.problem(err.Error(), "wait until outputs and inputs expire, or ask whoever runs the gateway for more; GET /v1/usage says what there is")
	case errors.Is(err, coordinator.ErrTooMany):
		return kindTooMany.problem(err.Error(), "wait as long as Retry-After says, or cancel some")
	case errors.Is(err, coordinator.ErrRemoving):
		return kindUnavailable.problem(err.Error(), "try again in a moment, or use a new idempotency_key")
	case errors.Is(err, coordinator.ErrTooSlow):
		return kindTimeout.problem(err.Error(), "submit it again")
	case errors.Is(err, coordinator.ErrRecordTooLarge):
		return kindInvalid.problem(err.Error(), "use fewer or shorter labels")
	case errors.Is(err, campaign.ErrNotFound):
		return kindNotFound.problem("there is no such campaign", "GET /v1/campaigns lists those that there are; a label alone makes none")
	case errors.Is(err, campaign.ErrClosed):
		return kindCampaignClosed.problem(err.Error(), "make another campaign, with another name, for more jobs")
	case errors.Is(err, campaign.ErrDiffers):
		return kindConflict.problem(err.Error(), "use another name, or remove that one first")
	case errors.Is(err, campaign.ErrTooMany):
		return kindManyCampaigns.problem(err.Error(), "remove some that have ended")
	case errors.Is(err, campaign.ErrLoading):
		return kindUnavailable.problem(err.Error(), "try again in a moment")
	case errors.Is(err, retention.ErrSweeping):
		return kindSweeping.problem(err.Error(), "wait for its end, or make a dry run, which waits for nobody")
	case errors.Is(err, webhook.ErrNotFound):
		return kindNotFound.problem("there is no such webhook or delivery", "GET /v1/webhooks lists what there is")
	case errors.Is(err, webhook.ErrAddress):
		return kindAddress.problem(err.Error(), "use an https address that is public, or ask whoever runs the gateway")
	case errors.Is(err, webhook.ErrTooMany):
		return kindManyWebhooks.problem(err.Error(), "remove one that is not needed")
	case errors.Is(err, webhook.ErrFull):
		return kindManyDeliveries.problem("", "wait until some have arrived, or have failed for good")
	case errors.Is(err, webhook.ErrDisabled):
		return kindDisabled.problem(err.Error(), "enable it first")
	case errors.Is(err, webhook.ErrLoading):
		return kindUnavailable.problem(err.Error(), "try again in a moment")
	case errors.Is(err, coordinator.ErrCursor), errors.Is(err, webhook.ErrCursor):
		return kindMalformed.problem(err.Error(), "pass next of the page before as it was")
	case errors.As(err, &tooLarge):
		return kindTooLarge.problemf("the body has more than %d bytes", tooLarge.Limit)
	case errors.Is(err, schemas.ErrTooLarge):
		return kindTooLarge.problem(err.Error(), "upload large files with PUT /v1/blobs/{sha256} and name them by digest")
	case errors.As(err, &syntax):
		return kindMalformed.problem(syntax.Error(), "")
	case errors.As(err, &image):
		return image.problem()
	case errors.As(err, &lost):
		return lostProblem(lost)
	case errors.Is(err, objstore.ErrDigest):
		return kindDigest.problem(err.Error(), "")
	case errors.Is(err, objstore.ErrSize):
		return kindLength.problem(err.Error(), "")
	case errors.Is(err, objstore.ErrFull):
		return kindFull.problem("", "delete what is no longer needed, or give the store more room")
	case errors.Is(err, objstore.ErrUnavailable):
		return kindUnavailable.problem("the object store does not answer", "try again in a moment")
	case errors.Is(err, context.DeadlineExceeded):
		return kindTimeout.problem("", "try again in a moment")
	}
	return kindInternal.problem("", "the gateway's log says more; try again, and report it if it stays")
}

// writeProblem sends p, whatever the client said it accepts.
func writeProblem(w http.ResponseWriter, p *schemas.ProblemDocument) {
	body, err := json.Marshal(p)
	if err != nil {
		panic("api: a problem document holds strings and numbers alone: " + err.Error())
	}
	h := w.Header()
	for _, name := range []string{"Etag", "Last-Modified", "Content-Encoding", "Content-Disposition", "Accept-Ranges"} {
		h.Del(name) // set for the document that was meant to be sent
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client may be gone
}

// writeJSON sends v as a JSON document.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
	return nil
}
