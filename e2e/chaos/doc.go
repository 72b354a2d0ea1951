// Package chaos breaks the whole system, made of real processes, in the middle of
// every step of a job, and records what it saw for package check to judge.
// docs/chaos.md says how to run it and what is struck when.
package chaos
