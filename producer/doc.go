// Package producer is the Go SDK: submit a job, follow it, fetch its outputs.
//
// It is the first step of a job's life outside of the system and the last:
// it sends inputs by content, so that what the gateway has is not sent again,
// posts the specification, follows the stream of what happens, and unpacks
// outputs, which it treats as hostile.
//
// It speaks the HTTP API alone and knows the wire types of package schemas.
// It must not know how the gateway or an executor works.
package producer
