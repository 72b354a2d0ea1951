package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

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
	kindTooManyUploads = kind{"too-many-uploads", "Too many uploads are under way", http.StatusTooManyRequests}
	kindTooSlow        = kind{"too-slow", "The body comes too slowly", http.StatusRequestTimeout}
	kindManyDeliveries = kind{"too-many-deliveries", "Too many deliveries are on their way already", http.StatusTooManyRequests}
	kindTooManyBatches = kind{"too-many-batches", "Too much of the tenant's batches is under way", http.StatusTooManyRequests}
	kindManyDownloads  = kind{"too-many-downloads", "Too much is being sent to the tenant", http.StatusTooManyRequests}
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
	if p.Status == http.StatusRequestTimeout {
		h.Set("Connection", "close") // else the server waits for more of the body first
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
	return writeBody(w, status, body)
}

// writeBody sends a JSON document.
func writeBody(w http.ResponseWriter, status int, body []byte) error {
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
