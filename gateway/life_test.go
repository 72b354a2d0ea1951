package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/api"
	"github.com/program-explorer/pe/gateway/campaign"
	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/gateway/webhook"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/schemas"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// life is a whole gateway, with a real queue and store, and an executor that
// runs nothing but speaks the whole protocol.
type life struct {
	testing.TB
	jobs   *coordinator.Coordinator
	outbox *webhook.Outbox
	all    *campaign.Campaigns
	server *Server
	queue  *jobqueue.Queue // the executor's
	hold   chan struct{}   // what an attempt waits for before it ends; nil for nothing
}

func live(t testing.TB) *life {
	t.Helper()
	l := &life{TB: t}
	log := slog.New(slog.DiscardHandler)
	nats := queuetest.Start(t, "box")
	store, err := dir.Open(dir.Config{Path: t.TempDir(), BaseURL: func() string { return l.server.URL() + "/v1/objects/" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	queue := nats.Gateway(t, log)
	if l.outbox, err = webhook.New(webhook.Config{Queue: queue, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: log}); err != nil {
		t.Fatal(err)
	}
	if l.jobs, err = coordinator.New(coordinator.Config{Queue: queue, Store: store, Log: log, OnEnded: func(rec schemas.Record, rev uint64, here bool) {
		l.outbox.Ended(rec, rev, here)
		l.all.JobEnded(rec, rev)
	}}); err != nil {
		t.Fatal(err)
	}
	if l.all, err = campaign.New(campaign.Config{Queue: queue, Jobs: l.jobs, OnEnded: l.outbox.CampaignEnded, Log: log}); err != nil {
		t.Fatal(err)
	}
	l.server, err = New(Config{Addr: "127.0.0.1:0", API: api.Config{
		Jobs: l.jobs, Webhooks: l.outbox, Campaigns: l.all, Store: store, Objects: http.StripPrefix("/v1/objects/", store.Handler()), Log: log,
		Resolve: func(context.Context, string) (api.ResolvedImage, error) {
			return api.ResolvedImage{Reference: "registry.test/gcc", Digest: digest, Archs: []string{"amd64"}}, nil
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	l.queue = nats.Executor(t, "box", log)
	l.run()
	return l
}

// run starts everything; the test's end stops it, the gateway last.
func (l *life) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	l.Cleanup(func() { cancel(); running.Wait() })
	running.Go(func() {
		if err := l.jobs.Run(ctx); err != nil {
			l.Error(err)
		}
	})
	running.Go(func() {
		if err := l.outbox.Run(ctx); err != nil {
			l.Error(err)
		}
	})
	running.Go(func() {
		if err := l.all.Run(ctx); err != nil {
			l.Error(err)
		}
	})
	running.Go(func() {
		if err := l.server.Run(ctx); err != nil {
			l.Error(err)
		}
	})
	<-l.all.Known()
	for l.jobs.Ready() != nil {
		time.Sleep(time.Millisecond)
	}
	puller := l.queue.NewPuller()
	running.Go(func() {
		l.queue.ServeCommands(ctx, func(_ context.Context, verb string, body []byte) (any, error) {
			switch verb {
			case schemas.CommandPools:
				var p schemas.Pools
				err := json.Unmarshal(body, &p)
				puller.SetPools(p.Pools)
				return nil, err
			case schemas.CommandLogs:
				if bytes.Contains(body, []byte(`"stderr"`)) {
					return schemas.LogsReply{}, nil
				}
				return schemas.LogsReply{Data: []byte("hello\n"), End: 6}, nil
			}
			return nil, nil
		})
	})
	var hello schemas.HelloReply
	facts := schemas.Facts{Executor: "box", Instance: rand.Text(), Version: "test", Slots: 1, HostArch: "amd64", HostOS: "linux", CPUs: 1,
		Offers: []schemas.Offering{{Arch: "amd64", Isolation: schemas.IsolationVM, Accel: "tcg"}}}
	err := l.queue.Ask(ctx, schemas.VerbHello, facts, &hello)
	for errors.Is(err, jobqueue.ErrNobody) { // it is ready for requests a moment before it serves executors
		time.Sleep(time.Millisecond)
		err = l.queue.Ask(ctx, schemas.VerbHello, facts, &hello)
	}
	if err != nil || hello.Refused != "" {
		l.Fatalf("hello: %v %s", err, hello.Refused)
	}
	puller.SetPools(hello.Pools)
	running.Go(func() {
		for {
			offer, err := puller.Next(ctx)
			if err != nil {
				return
			}
			if err := l.attempt(ctx, offer); err != nil && ctx.Err() == nil {
				l.Error(err)
			}
		}
	})
}

func (l *life) attempt(ctx context.Context, offer *jobqueue.Offer) error {
	nonce := rand.Text()
	var claimed schemas.ClaimReply
	err := l.queue.Ask(ctx, schemas.VerbClaim, schemas.Claim{Job: offer.Job, Tenant: offer.Tenant, Nonce: nonce}, &claimed)
	if err != nil || claimed.Answer != schemas.AnswerGranted {
		return fmt.Errorf("claim answered %q: %w", claimed.Answer, err)
	}
	if err := offer.Ack(); err != nil {
		return err
	}
	if l.hold != nil {
		select {
		case <-l.hold:
		case <-ctx.Done():
			return nil
		}
	}
	zero, n := 0, claimed.Grant.Attempt
	outcome := schemas.Outcome{ExitCode: &zero}
	data, err := json.Marshal(schemas.Result{
		Version: schemas.ResultVersion, Job: offer.Job, Attempt: n, Outcome: outcome, Outputs: []schemas.Output{},
		Spans:  []schemas.Span{},
		RanOn:  schemas.RanOn{Executor: "box", Arch: "amd64", Isolation: schemas.IsolationVM, ImageDigest: digest},
		Stdout: schemas.Stdio{Text: "hello\nworld\n", Bytes: 12},
	})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	object := schemas.Object{Name: schemas.ObjectResult, Size: int64(len(data)), SHA256: schemas.Digest(sum[:])}
	if err := l.upload(ctx, schemas.Sign{Job: offer.Job, Tenant: offer.Tenant, Attempt: n, Put: []schemas.Object{object}}, data); err != nil {
		return err
	}
	name := jobqueue.EventName{Executor: "box", Job: offer.Job, Attempt: n, Kind: schemas.EventResult}
	return l.queue.PublishEvent(ctx, name, schemas.Event{Tenant: offer.Tenant, Nonce: nonce, Outcome: &outcome, Result: &object, AtUS: time.Now().UnixMicro()})
}

// upload sends one object with a signed request, through the gateway's own address.
func (l *life) upload(ctx context.Context, sign schemas.Sign, data []byte) error {
	var signed schemas.SignReply
	if err := l.queue.Ask(ctx, schemas.VerbSign, sign, &signed); err != nil || len(signed.Put) != 1 {
		return fmt.Errorf("sign: %w %s", err, signed.Refused)
	}
	put := signed.Put[0]
	req, err := http.NewRequestWithContext(ctx, put.Method, put.URL, bytes.NewReader(data))
	if err != nil {
		return err
	}
	for name, values := range put.Header {
		req.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("signed put: %s", resp.Status)
	}
	return nil
}

func (l *life) post(spec, query string) (schemas.Job, int) {
	l.Helper()
	resp, err := http.Post(l.server.URL()+"/v1/jobs"+query, "application/json", strings.NewReader(spec))
	if err != nil {
		l.Fatal(err)
	}
	return decode[schemas.Job](l, resp), resp.StatusCode
}

// running waits until a job is.
func (l *life) running(id string) {
	l.Helper()
	is := func(rec schemas.Record) bool { return rec.State == schemas.StateRunning }
	if rec, err := l.jobs.Wait(l.Context(), "local", id, is); err != nil || !is(rec) {
		l.Fatalf("the job is %s: %v", rec.State, err)
	}
}

func decode[T any](t testing.TB, resp *http.Response) (v T) {
	t.Helper()
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		t.Fatalf("%s: %v: %s", resp.Status, err, data)
	}
	return v
}

func TestAJobFromSubmissionToResult(t *testing.T) {
	t.Parallel()
	l := live(t)
	job, status := l.post(`{"image":"gcc","args":["true"],"idempotency_key":"once"}`, "?wait=30s")
	if status != http.StatusOK || job.State != schemas.StateSucceeded || job.Result == nil || job.Result.Stdout.Text != "hello\nworld\n" {
		t.Fatalf("%d %+v", status, job)
	}
	again, status := l.post(`{"image":"gcc","args":["true"],"idempotency_key":"once"}`, "")
	if status != http.StatusOK || again.ID != job.ID || again.Spec == nil {
		t.Errorf("repeated: %d %s, first was %s", status, again.ID, job.ID)
	}
	resp, err := http.Post(l.server.URL()+"/v1/jobs", "application/json", strings.NewReader(`{"image":"gcc","args":["false"],"idempotency_key":"once"}`))
	if err != nil {
		t.Fatal(err)
	}
	if p := decode[schemas.ProblemDocument](t, resp); p.Status != http.StatusConflict {
		t.Errorf("another request with the key: %+v", p)
	}
	resp, err = http.Get(l.server.URL() + "/v1/jobs?state=succeeded")
	if err != nil {
		t.Fatal(err)
	}
	if list := decode[schemas.JobList](t, resp); len(list.Jobs) != 1 || list.Jobs[0].ID != job.ID {
		t.Errorf("%+v", list)
	}
}

func TestFollowARealJob(t *testing.T) {
	t.Parallel()
	l := live(t)
	l.hold = make(chan struct{})
	job, status := l.post(`{"image":"gcc"}`, "")
	if status != http.StatusAccepted {
		t.Fatalf("%d", status)
	}
	resp, err := http.Get(l.server.URL() + "/v1/jobs/" + job.ID + "/logs?follow=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	close(l.hold)
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for line := range strings.Lines(string(data)) {
		var piece schemas.StreamText
		if rest, ok := strings.CutPrefix(line, "data: "); ok && json.Unmarshal([]byte(rest), &piece) == nil {
			text += piece.Text
		}
	}
	if text != "hello\nworld\n" || !strings.HasSuffix(strings.TrimSpace(string(data)), `"executor":"box"}`) || !strings.Contains(string(data), "event: end\n") {
		t.Errorf("%q in\n%s", text, data)
	}
}

func TestCancelAQueuedJob(t *testing.T) {
	t.Parallel()
	l := live(t)
	l.hold = make(chan struct{})
	first, _ := l.post(`{"image":"gcc"}`, "")
	l.running(first.ID) // or else the executor might take the other one
	second, _ := l.post(`{"image":"gcc"}`, "")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, l.server.URL()+"/v1/jobs/"+second.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it has ended
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if job := decode[schemas.Job](t, resp); resp.StatusCode != http.StatusOK || job.State != schemas.StateCancelled {
			t.Errorf("%d %s", resp.StatusCode, job.State)
		}
	}
}

// The API's own share of a job's time: the same round with and without HTTP,
// in turns, as the machine's noise is larger than the difference.
func BenchmarkSubmitAndWait(b *testing.B) {
	l := live(b)
	spec := schemas.JobSpec{Image: "gcc", Requires: schemas.Requires{Arch: "amd64"}}.WithDefaults()
	var bare, http []time.Duration
	for b.Loop() {
		begin := time.Now()
		rec, _, err := l.jobs.Submit(b.Context(), coordinator.Submission{Tenant: "local", Spec: spec, Image: schemas.ImageRef{Reference: "gcc", Digest: digest}})
		if err == nil {
			_, err = l.jobs.Wait(b.Context(), "local", rec.ID, func(r schemas.Record) bool { return r.State.Terminal() })
		}
		if err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		if job, _ := l.post(`{"image":"gcc"}`, "?wait=30s"); job.State != schemas.StateSucceeded {
			b.Fatal(job.State)
		}
		bare, http = append(bare, middle.Sub(begin)), append(http, time.Since(middle))
	}
	slices.Sort(bare)
	slices.Sort(http)
	b.ReportMetric(float64(bare[len(bare)/2].Microseconds()), "us/coordinator-p50")
	b.ReportMetric(float64(http[len(http)/2].Microseconds()), "us/http-p50")
}
