package noop_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/noop"
	"github.com/program-explorer/pe/schemas"
)

func newRunner(t *testing.T, c noop.Config) *noop.Runner {
	t.Helper()
	r, err := noop.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNoJobGetsHereByAccident(t *testing.T) {
	t.Parallel()
	r := newRunner(t, noop.Config{Arch: "amd64"})
	facts := schemas.Facts{Executor: "e", Offers: []schemas.Offering{r.Offering()}}
	for _, isolation := range []string{schemas.IsolationStrong, schemas.IsolationVM, schemas.IsolationGVisor} {
		if (schemas.Requires{Arch: "amd64", Isolation: isolation}).SatisfiedBy(facts) {
			t.Errorf("a job that wants isolation %s would run for nothing", isolation)
		}
	}
	spec := schemas.JobSpec{Image: "x"}.WithDefaults()
	spec.Requires.Arch = "amd64"
	if spec.Requires.SatisfiedBy(facts) {
		t.Error("a job with defaults alone would run for nothing")
	}
	if !r.Requires().SatisfiedBy(facts) {
		t.Errorf("%+v is not what gets a job here", r.Requires())
	}
}

func TestRefusesNonsense(t *testing.T) {
	t.Parallel()
	for _, c := range []noop.Config{{Arch: "pdp11"}, {ExitCode: 256}, {ExitCode: -1}} {
		if _, err := noop.New(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

func TestTimePasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRunner(t, noop.Config{Start: time.Second, Run: time.Minute, ExitCode: 3, Stdout: []byte("said")})
		begin := time.Now()
		m, err := r.Start(t.Context(), executor.Shape{})
		if err != nil || time.Since(begin) != 0 {
			t.Fatalf("a start keeps its caller for %s, %v", time.Since(begin), err)
		}
		defer m.Close()
		var said []byte
		ended, err := m.Run(t.Context(), executor.Work{
			Stage: func(string) {}, Stdout: func(p []byte) { said = append(said, p...) },
		})
		if err != nil || ended.Exit.Code != 3 || time.Since(begin) != 61*time.Second || string(said) != "said" {
			t.Errorf("%+v after %s said %q, %v", ended.Exit, time.Since(begin), said, err)
		}
	})
}

func TestEndsWithItsAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRunner(t, noop.Config{Run: time.Hour})
		why := errors.New("not wanted any more")
		ctx, cancel := context.WithCancelCause(t.Context())
		m, err := r.Start(ctx, executor.Shape{})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { cancel(why) })
		if _, err := m.Run(ctx, executor.Work{Stage: func(string) {}}); !errors.Is(err, why) {
			t.Errorf("error %v", err)
		}
		time.AfterFunc(time.Second, func() { m.Close() })
		if _, err := m.Run(t.Context(), executor.Work{Stage: func(string) {}}); err == nil {
			t.Error("a closed machine runs on")
		}
	})
}
