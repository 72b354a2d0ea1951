package executor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/program-explorer/pe/schemas"
)

func TestRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r rest
		begin := time.Now()
		wait := func(want time.Duration) {
			t.Helper()
			if err := r.wait(t.Context()); err != nil || time.Since(begin) != want {
				t.Errorf("rested for %s, want %s, %v", time.Since(begin), want, err)
			}
			begin = time.Now()
		}
		wait(0)
		r.failed(schemas.FailGuest)
		wait(0)
		for _, want := range []time.Duration{1, 2, 4, 8, 15, 15} {
			r.failed(schemas.FailMachine)
			wait(want * time.Second)
		}
		r.succeeded()
		wait(0)
		r.failed(schemas.FailInternal)
		wait(time.Second)

		r.failed(schemas.FailInternal)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		if err := r.wait(ctx); err == nil {
			t.Error("a rest outlives its executor")
		}
	})
}

func TestWhoseFaultStagingIs(t *testing.T) {
	t.Parallel()
	for want, err := range map[schemas.FailureCode]error{
		schemas.FailInternal: fmt.Errorf("input %q: %w", "in", final(&fs.PathError{Op: "write", Path: "/dev/full", Err: syscall.ENOSPC})),
		schemas.FailStage:    &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
		schemas.FailInput:    fmt.Errorf("input %q: %w", "in", errNotAsSaid),
	} {
		var failure *schemas.Failure
		if got := stageFailure(err); !errors.As(got, &failure) || failure.Code != want {
			t.Errorf("%v is %v, want %s", err, got, want)
		}
	}
}
