// Package access decides who may use the API, and how often: it keeps the
// access tokens, knows whose they are and what they allow, finds the address
// that a request really came from, and counts requests. Package api asks it
// once for each request, before anything else of the request is looked at.
//
// It knows no jobs, and no routes: a route says which scope it wants.
package access
