// Package gateway is the server that producers talk to: it listens, serves
// package api, and stops in an orderly way. The jobs are the coordinator's
// (package coordinator), which it is given.
//
// It must not know executors, machines, or how an image is built.
package gateway
