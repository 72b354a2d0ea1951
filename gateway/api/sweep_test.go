package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/retention"
	"github.com/program-explorer/pe/schemas"
)

// fakeSweeper sweeps as a test says.
type fakeSweeper func(context.Context, retention.Options) (schemas.SweepReport, error)

func (f fakeSweeper) Sweep(ctx context.Context, o retention.Options) (schemas.SweepReport, error) {
	return f(ctx, o)
}
func (fakeSweeper) Grace() time.Duration { return time.Hour }

func withSweeper(f fakeSweeper) func(*Config) { return func(c *Config) { c.Sweeper = f } }

// sweepEvents reads the events of a sweep to their end.
func sweepEvents(t *testing.T, resp *http.Response) (kinds []string, last string) {
	t.Helper()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("answer %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if kind, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			kinds = append(kinds, kind)
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			last = data
		}
	}
	return kinds, last
}

func TestSweepTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	told := make(chan struct{})
	var asked retention.Options
	h := start(t, withSweeper(func(ctx context.Context, o retention.Options) (r schemas.SweepReport, err error) {
		asked = o
		r.StartedUS = 1
		r.Listed.Add(5)
		o.Progress(r)
		select {
		case <-told:
		case <-ctx.Done():
		}
		r.Done = true
		return r, ctx.Err()
	}))
	resp := h.request(t, "POST", "/v1/admin/sweep", `{"dry_run":true,"grace_ms":1500}`)
	line, err := bufio.NewReader(resp.Body).ReadString('\n') // before the sweep ends
	if err != nil || line != "event: progress\n" {
		t.Fatalf("first %q, %v", line, err)
	}
	close(told)
	resp = h.request(t, "POST", "/v1/admin/sweep", `{"dry_run":true,"grace_ms":1500}`)
	kinds, last := sweepEvents(t, resp)
	var report schemas.SweepReport
	if err := json.Unmarshal([]byte(last), &report); err != nil || !report.Done || report.Listed.Bytes != 5 || kinds[len(kinds)-1] != schemas.SweepEnd {
		t.Errorf("events %v, the last %s, %v", kinds, last, err)
	}
	if !asked.DryRun || asked.Grace != 1500*time.Millisecond {
		t.Errorf("asked for %+v", asked)
	}
}

func TestSweepThatCannotBegin(t *testing.T) {
	t.Parallel()
	h := start(t, withSweeper(func(_ context.Context, o retention.Options) (schemas.SweepReport, error) {
		if o.Grace != time.Hour || o.DryRun {
			t.Errorf("asked for %+v", o)
		}
		return schemas.SweepReport{}, retention.ErrSweeping
	}))
	h.refused(t, kindSweeping, "POST", "/v1/admin/sweep", `{}`)
	h.refused(t, kindMalformed, "POST", "/v1/admin/sweep", `{"grace_ms":-1}`)
	h.refused(t, kindMalformed, "POST", "/v1/admin/sweep", `{"dry":true}`)
	h.refused(t, kindMalformed, "POST", "/v1/admin/sweep", ``)
	h.refused(t, kindMediaType, "POST", "/v1/admin/sweep", `{}`, "Content-Type", "text/plain")
	start(t).refused(t, kindNotFound, "POST", "/v1/admin/sweep", `{}`)
}

// What goes wrong later is told at the end, with what was done until then.
func TestSweepThatBreaksOff(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	h := start(t, withSweeper(func(ctx context.Context, o retention.Options) (r schemas.SweepReport, err error) {
		r.Listed.Add(1)
		o.Progress(r)
		select {
		case <-begun:
		case <-ctx.Done():
		}
		return r, errors.New("the disk is on fire")
	}))
	resp := h.request(t, "POST", "/v1/admin/sweep", `{}`)
	close(begun)
	kinds, last := sweepEvents(t, resp) // status 200: something was sent before it broke off
	if kinds[len(kinds)-1] != schemas.SweepProblem || !strings.Contains(last, `"type":"urn:program-explorer:problem:internal"`) || strings.Contains(last, "fire") {
		t.Errorf("events %v, the last %s", kinds, last)
	}
}

// A client that leaves, and a gateway that stops, end the sweep; the request
// lasts until it has ended.
func TestSweepIsStopped(t *testing.T) {
	t.Parallel()
	running, stopped := make(chan struct{}), make(chan error, 1)
	h := start(t, withSweeper(func(ctx context.Context, o retention.Options) (r schemas.SweepReport, err error) {
		o.Progress(r)
		running <- struct{}{}
		<-ctx.Done()
		stopped <- context.Cause(ctx)
		return r, ctx.Err()
	}))
	resp := h.request(t, "POST", "/v1/admin/sweep", `{}`)
	<-running
	resp.Body.Close()
	if err := <-stopped; err == nil {
		t.Error("stopped without a cause")
	}
	resp = h.request(t, "POST", "/v1/admin/sweep", `{}`)
	<-running
	h.api.Drain()
	<-stopped
	if kinds, last := sweepEvents(t, resp); kinds[len(kinds)-1] != schemas.SweepProblem || !strings.Contains(last, "is being stopped") {
		t.Errorf("events %v, the last %s", kinds, last)
	}
}

// A sweep is the whole system's: no tenant's token will do.
func TestSweepIsForOperators(t *testing.T) {
	t.Parallel()
	const alice, operator, reader = "alice-0123456789abcdef", "operator-0123456789abcdef", "reader-0123456789abcdef"
	h := start(t, withTokens(t, token(t, alice, "alice", schemas.ScopeAdmin), token(t, operator, schemas.AllTenants, schemas.ScopeAdmin),
		token(t, reader, schemas.AllTenants, schemas.ScopeRead)), withSweeper(func(context.Context, retention.Options) (r schemas.SweepReport, err error) { return r, nil }))
	h.refused(t, kindScope, "POST", "/v1/admin/sweep", `{}`, "Authorization", "Bearer "+alice)
	h.refused(t, kindScope, "POST", "/v1/admin/sweep", `{}`, "Authorization", "Bearer "+reader)
	if kinds, _ := sweepEvents(t, h.request(t, "POST", "/v1/admin/sweep", `{}`, "Authorization", "Bearer "+operator)); len(kinds) != 1 {
		t.Errorf("events %v", kinds)
	}
}
