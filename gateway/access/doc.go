// Package access decides who may use the API, and for what: it knows access
// tokens, whose they are and what they allow. Package api asks it once for each
// request, before anything else of the request is looked at.
//
// It knows no jobs, and no routes: a route says which scope it wants.
package access
