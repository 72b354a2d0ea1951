//go:build !linux

package oci

import (
	"context"
	"errors"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/schemas"
)

var errNotLinux = errors.New("contained machines need Linux")

// Runner is of no use here.
type Runner struct{}

var _ executor.Runner = (*Runner)(nil)

// New fails.
func New(Config) (*Runner, error) { return nil, errNotLinux }

// Probe says so.
func Probe(_ context.Context, c ProbeConfig) (Verdict, error) {
	return Verdict{Kind: c.Runner.Kind, Reason: errNotLinux.Error(), At: time.Now()}, nil
}

// Offering implements executor.Runner.
func (*Runner) Offering() schemas.Offering { return schemas.Offering{} }

// Start implements executor.Runner.
func (*Runner) Start(context.Context, executor.Shape) (executor.Machine, error) {
	return nil, errNotLinux
}

// Keep fails.
func (*Runner) Keep(context.Context, executor.Shape) error { return errNotLinux }

// Close does nothing.
func (*Runner) Close() error { return nil }
