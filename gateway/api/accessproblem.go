package api

import (
	"errors"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/schemas"
)

// accessProblems says of what package access refuses which kind of problem it
// is. Its messages are made for users.
var accessProblems = []struct {
	err  error
	kind kind
	hint string
}{
	{access.ErrUnknown, kindUnauthorized, "ask whoever runs the gateway for a token"},
	{access.ErrExpired, kindUnauthorized, "make or ask for a new one"},
	{access.ErrRevoked, kindUnauthorized, "make or ask for a new one"},
	{access.ErrNotAllowed, kindScope, "leave the tenant out, or use a token of the whole system"},
	{access.ErrFirst, kindConflict, "make one with tenant * and the scope admin, and the others with that"},
	{access.ErrLast, kindConflict, ""},
	{access.ErrTooMany, kindConflict, "use longer-lived tokens, or fewer of them"},
	{access.ErrSystemScope, kindInvalidToken, "for jobs make a token of a tenant"},
	{access.ErrNotFound, kindNotFound, "GET /v1/tokens lists those that there are; those of a token file are removed there"},
	{access.ErrNoBucket, kindNotFound, ""},
}

// accessProblem is the problem that err is of; nil if package access did not say it.
func accessProblem(err error) *schemas.ProblemDocument {
	for _, p := range accessProblems {
		if errors.Is(err, p.err) {
			return p.kind.problem(p.err.Error(), p.hint)
		}
	}
	var wrong *schemas.InvalidError
	if errors.As(err, &wrong) && wrong.What == schemas.WhatAccessTokenRequest {
		p := kindInvalidToken.problem(wrong.Problems[0].Pointer+": "+wrong.Problems[0].Message, "docs/access.md says what a token may be")
		p.Problems = wrong.Problems
		return p
	}
	return nil
}
