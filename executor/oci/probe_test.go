//go:build linux

package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

func probeConfig(t *testing.T, kind string) ProbeConfig {
	dir := folder(t)
	return ProbeConfig{CacheDir: filepath.Join(dir, "cache"), Runner: Config{
		Kind: kind, Runtime: runtimeOf(t, kind), Guest: guestrd(), RunDir: filepath.Join(dir, "run"), LayerDir: filepath.Join(dir, "layers"),
	}}
}

// Both ways to run keep all limits on a host where tests run, and the second probe is a look into a file.
func TestProbe(t *testing.T) {
	forKinds(t, func(t *testing.T, kind string) {
		c := probeConfig(t, kind)
		v, err := Probe(t.Context(), c)
		if err != nil || !v.Works {
			t.Fatalf("%s, %v", v, err)
		}
		t.Log(v)
		begun := time.Now()
		again, err := Probe(t.Context(), c)
		if err != nil || !again.At.Equal(v.At) || time.Since(begun) > time.Second {
			t.Errorf("%+v after %s, %v", again, time.Since(begun), err)
		}
		left, err := filepath.Glob(filepath.Join(filepath.Dir(c.Runner.RunDir), "*"))
		if err != nil || len(left) != 1 || filepath.Base(left[0]) != "cache" {
			t.Errorf("the probe left %q, %v", left, err)
		}
	})
}

// What can't work is said in one line, with what to change.
func TestProbeSaysWhy(t *testing.T) {
	closed := probeConfig(t, schemas.IsolationContainer)
	closed.Runner.RunDir = filepath.Join(t.TempDir(), "run")
	absent := probeConfig(t, schemas.IsolationGVisor)
	absent.Runner.Runtime = "no-such-runsc"
	other := probeConfig(t, schemas.IsolationContainer)
	other.Runner.Runtime = runtimeOf(t, schemas.IsolationGVisor)
	for says, c := range map[string]ProbeConfig{"chmod o+x": closed, "deploy/setup.sh": absent, "want runsc for gvisor": other} {
		v, err := Probe(t.Context(), c)
		if err != nil || v.Works || !strings.Contains(v.String(), says) || strings.Contains(v.Reason, "\n") {
			t.Errorf("%s, %v: want %q", v, err, says)
		}
	}
}

// A limit that nobody enforces is found out.
func TestTrialFails(t *testing.T) {
	forKinds(t, func(t *testing.T, kind string) {
		r := newRunner(t, kind, func(c *Config) { c.Allow = []string{trialReference} })
		image, err := trialImage(t.Context(), folder(t), guestrd())
		if err != nil {
			t.Fatal(err)
		}
		for _, tr := range trials() {
			if tr.limit == guestproto.LimitWall || tr.limit == guestproto.LimitCPU {
				continue // these take a minute not to be hit
			}
			tr.set = func(l *guestproto.Limits) { l.PIDs = 4096 }
			if err := tr.run(t.Context(), r, image); err == nil || !strings.Contains(err.Error(), "does not hold") {
				t.Errorf("%s: %v", tr.limit, err)
			}
		}
	})
}

// The documents say what the code does.
func TestLimitsInDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), EnforcementTable()) {
		t.Errorf("docs/limits.md has another table than the code:\n%s", EnforcementTable())
	}
	for kind, all := range Enforcements() {
		for i, tr := range trials() {
			if len(all) != len(trials()) || all[i].Limit != tr.limit {
				t.Errorf("%s: %d limits, %d are tried; the %d-th is %s", kind, len(all), len(trials()), i, all[i].Limit)
			}
		}
	}
}
