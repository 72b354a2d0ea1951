package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/gateway/campaign"
	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/gateway/retention"
	"github.com/program-explorer/pe/gateway/webhook"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// problems says of errors of other packages which kind of problem each is. The first
// that an error is counts.
var problems = []struct {
	err  error
	kind kind
	// says is what the user is told; without it, what the error says.
	says func(error) string
	// hint is what to do.
	hint string
}{
	{err: access.ErrUnknown, kind: kindUnauthorized, says: itself(access.ErrUnknown), hint: "ask whoever runs the gateway for a token"},
	{err: access.ErrExpired, kind: kindUnauthorized, says: itself(access.ErrExpired), hint: "make or ask for a new one"},
	{err: access.ErrRevoked, kind: kindUnauthorized, says: itself(access.ErrRevoked), hint: "make or ask for a new one"},
	{err: access.ErrNotAllowed, kind: kindScope, says: itself(access.ErrNotAllowed), hint: "leave the tenant out, or use a token of the whole system"},
	{err: access.ErrFirst, kind: kindConflict, says: itself(access.ErrFirst), hint: "make one with tenant * and the scope admin, and the others with that"},
	{err: access.ErrLast, kind: kindConflict, says: itself(access.ErrLast)},
	{err: access.ErrTooMany, kind: kindConflict, says: itself(access.ErrTooMany), hint: "use longer-lived tokens, or fewer of them"},
	{err: access.ErrSystemScope, kind: kindInvalidToken, says: itself(access.ErrSystemScope), hint: "for jobs make a token of a tenant"},
	{err: access.ErrNotFound, kind: kindNotFound, says: itself(access.ErrNotFound), hint: "GET /v1/tokens lists those that there are; those of a token file are removed there"},
	{err: access.ErrNoBucket, kind: kindNotFound, says: itself(access.ErrNoBucket)},

	{err: coordinator.ErrLoading, kind: kindUnavailable, hint: "try again in a moment"},
	{err: coordinator.ErrNotFound, kind: kindNotFound, says: fixed("there is no such job"), hint: "GET /v1/jobs lists the jobs that there are"},
	{err: coordinator.ErrNotEnded, kind: kindNotEnded, hint: "cancel it, or wait for its end"},
	{err: coordinator.ErrNotDead, kind: kindNotDead, hint: "GET /v1/jobs?state=dead lists those that can be retried or dropped"},
	{err: coordinator.ErrDeadlineOver, kind: kindDeadline, hint: "submit it anew"},
	{err: coordinator.ErrObjectsGone, kind: kindGone, hint: "submit it anew, with its inputs, and drop this one"},
	{err: coordinator.ErrKeyReused, kind: kindConflict, hint: "use a new idempotency_key for another job"},
	{err: coordinator.ErrTooMuchStored, kind: kindTooMuchStored, hint: "wait until outputs and inputs expire, or ask whoever runs the gateway for more; GET /v1/usage says what there is"},
	{err: coordinator.ErrTooMany, kind: kindTooMany, hint: "wait as long as Retry-After says, or cancel some"},
	{err: coordinator.ErrRemoving, kind: kindUnavailable, hint: "try again in a moment, or use a new idempotency_key"},
	{err: coordinator.ErrTooSlow, kind: kindTimeout, hint: "submit it again"},
	{err: coordinator.ErrRecordTooLarge, kind: kindInvalid, hint: "use fewer or shorter labels"},
	{err: campaign.ErrNotFound, kind: kindNotFound, says: fixed("there is no such campaign"), hint: "GET /v1/campaigns lists those that there are; a label alone makes none"},
	{err: campaign.ErrClosed, kind: kindCampaignClosed, hint: "make another campaign, with another name, for more jobs"},
	{err: campaign.ErrDiffers, kind: kindConflict, hint: "use another name, or remove that one first"},
	{err: campaign.ErrTooMany, kind: kindManyCampaigns, hint: "remove some that have ended"},
	{err: campaign.ErrLoading, kind: kindUnavailable, hint: "try again in a moment"},
	{err: retention.ErrSweeping, kind: kindSweeping, hint: "wait for its end, or make a dry run, which waits for nobody"},
	{err: webhook.ErrNotFound, kind: kindNotFound, says: fixed("there is no such webhook or delivery"), hint: "GET /v1/webhooks lists what there is"},
	{err: webhook.ErrAddress, kind: kindAddress, hint: "use an https address that is public, or ask whoever runs the gateway"},
	{err: webhook.ErrTooMany, kind: kindManyWebhooks, hint: "remove one that is not needed"},
	{err: webhook.ErrFull, kind: kindManyDeliveries, says: fixed(""), hint: "wait until some have arrived, or have failed for good"},
	{err: webhook.ErrDisabled, kind: kindDisabled, hint: "enable it first"},
	{err: webhook.ErrLoading, kind: kindUnavailable, hint: "try again in a moment"},
	{err: coordinator.ErrRevision, kind: kindMalformed, hint: "begin anew: without an id for what comes, with ?since=0 for all jobs that are known"},
	{err: coordinator.ErrCursor, kind: kindMalformed, hint: "pass next of the page before as it was"},
	{err: webhook.ErrCursor, kind: kindMalformed, hint: "pass next of the page before as it was"},
	{err: schemas.ErrTooLarge, kind: kindTooLarge, hint: "upload large files with PUT /v1/blobs/{sha256} and name them by digest"},
	{err: objstore.ErrDigest, kind: kindDigest},
	{err: objstore.ErrSize, kind: kindLength},
	{err: objstore.ErrFull, kind: kindFull, says: fixed(""), hint: "delete what is no longer needed, or give the store more room"},
	{err: objstore.ErrUnavailable, kind: kindUnavailable, says: fixed("the object store does not answer"), hint: "try again in a moment"},
	{err: context.DeadlineExceeded, kind: kindTimeout, says: fixed(""), hint: "try again in a moment"},
}

func fixed(text string) func(error) string { return func(error) string { return text } }

// itself is what an error says without what was said around it.
func itself(err error) func(error) string { return fixed(err.Error()) }

// problemOf is the one place that turns an error into a status. Errors that it
// does not know are internal: the user gets a bland line, the log the detail.
func problemOf(err error) *schemas.ProblemDocument {
	if p := documentOf(err); p != nil {
		return p
	}
	for _, p := range problems {
		if !errors.Is(err, p.err) {
			continue
		}
		detail := err.Error()
		if p.says != nil {
			detail = p.says(err)
		}
		return p.kind.problem(detail, p.hint)
	}
	return kindInternal.problem("", "the gateway's log says more; try again, and report it if it stays")
}

// documentOf is the problem of an error that says more than which one it is.
func documentOf(err error) *schemas.ProblemDocument {
	var document *schemas.ProblemDocument
	var tooLarge *http.MaxBytesError
	var syntax *schemas.SyntaxError
	var image *ImageError
	var lost *jobresult.LostError
	var wrong *schemas.InvalidError
	switch {
	case errors.As(err, &document):
		return document
	case errors.As(err, &tooLarge):
		return kindTooLarge.problemf("the body has more than %d bytes", tooLarge.Limit)
	case errors.As(err, &syntax):
		return kindMalformed.problem(syntax.Error(), "")
	case errors.As(err, &image):
		return image.problem()
	case errors.As(err, &lost):
		return lostProblem(lost)
	case errors.As(err, &wrong) && wrong.What == schemas.WhatAccessTokenRequest:
		p := kindInvalidToken.problem(wrong.Problems[0].Pointer+": "+wrong.Problems[0].Message, "docs/access.md says what a token may be")
		p.Problems = wrong.Problems
		return p
	}
	return nil
}
