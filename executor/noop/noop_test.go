package noop_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/noop"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
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

func TestAJobSaysWhatItPretends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRunner(t, noop.Config{Run: time.Hour, Stdout: []byte("configured"), ExitCode: 1})
		for _, c := range []struct {
			env  []string
			wall time.Duration
			want guestproto.Exit
			took time.Duration
			said string
		}{
			{nil, 0, guestproto.Exit{Code: 1}, time.Hour, "configured"},
			{[]string{"NOOP_RUN=2s", "NOOP_EXIT=7", "NOOP_STDOUT=its own"}, 0, guestproto.Exit{Code: 7}, 2 * time.Second, "its own"},
			{[]string{"NOOP_RUN=2s"}, time.Second, guestproto.Exit{Signal: 9, Limit: "wall", LimitsHit: []string{"wall"}}, time.Second, "configured"},
			{[]string{"NOOP_RUN=soon"}, 0, guestproto.Exit{Code: 127, NotStarted: true, Message: `NOOP_RUN="soon": time: invalid duration "soon"`}, 0, ""},
			{[]string{"NOOP_EXIT=256"}, 0, guestproto.Exit{Code: 127, NotStarted: true, Message: `NOOP_EXIT="256": strconv.ParseUint: parsing "256": value out of range`}, 0, ""},
		} {
			m, err := r.Start(t.Context(), executor.Shape{})
			if err != nil {
				t.Fatal(err)
			}
			begin, said := time.Now(), ""
			ended, err := m.Run(t.Context(), executor.Work{
				Job:   guestproto.Job{Env: c.env, Limits: guestproto.Limits{WallMS: c.wall.Milliseconds()}},
				Stage: func(string) {}, Stdout: func(p []byte) { said += string(p) },
			})
			if took := time.Since(begin); err != nil || !reflect.DeepEqual(ended.Exit, c.want) || took != c.took || said != c.said {
				t.Errorf("%q: %+v after %s said %q, %v; want %+v after %s, %q", c.env, ended.Exit, took, said, err, c.want, c.took, c.said)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAMachineBreaks(t *testing.T) {
	t.Parallel()
	for env, breaks := range map[string]bool{"NOOP_BREAK=0": false, "NOOP_BREAK=100": true} {
		m, err := newRunner(t, noop.Config{}).Start(t.Context(), executor.Shape{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.Run(t.Context(), executor.Work{Job: guestproto.Job{Env: []string{env}}, Stage: func(string) {}})
		if (err != nil) != breaks {
			t.Errorf("%s: %v", env, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLeavesNothing: a run that was killed may have left an input's file.
func TestLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "noop")
	left := func() int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Error(err)
		}
		return len(entries)
	}
	m, err := newRunner(t, noop.Config{Dir: dir}).Start(t.Context(), executor.Shape{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if n := left(); n != 0 {
		t.Errorf("%d files while it runs, want none that has a name", n)
	}
	if err := os.WriteFile(filepath.Join(dir, "left"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if newRunner(t, noop.Config{Dir: dir}); left() != 0 {
		t.Error("what was left is still there")
	}
}

func TestEchoesItsInputs(t *testing.T) {
	t.Parallel()
	m, err := newRunner(t, noop.Config{Echo: true}).Start(t.Context(), executor.Shape{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Input().WriteAt([]byte("a tar, then what pads the disk"), 0); err != nil {
		t.Fatal(err)
	}
	ended, err := m.Run(t.Context(), executor.Work{InputBytes: 5, Stage: func(string) {}})
	if err != nil || ended.Collected.Bytes != 5 {
		t.Fatalf("%+v, %v", ended.Collected, err)
	}
	if got, err := io.ReadAll(ended.Outputs); err != nil || string(got) != "a tar" {
		t.Errorf("outputs %q, %v", got, err)
	}
}
