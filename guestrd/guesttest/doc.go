// Package guesttest runs the guest for real: it builds guestrd and its bundle, boots it in a
// virtual machine and holds it against the suite that every kind of runner must pass.
package guesttest
