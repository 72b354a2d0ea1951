package coordinator_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// fakeExecutor speaks the whole protocol to a coordinator and runs nothing.
type fakeExecutor struct {
	w      *world
	id     string
	facts  schemas.Facts
	queue  *jobqueue.Queue
	puller *jobqueue.Puller
	// work is what becomes of a granted attempt; default a result with exit code 0.
	work func(ctx context.Context, a attempt) (schemas.EventKind, schemas.Event)
	// stubborn reports again until somebody has it, as a real one does.
	stubborn bool

	mu      sync.Mutex
	held    map[schemas.Held]context.CancelCauseFunc
	stopped []schemas.Stop
	logs    map[schemas.Held][]byte
	silent  bool // sends no heartbeats, answers no commands
	// prompt executors have a gateway take their small results at once; others store
	// them, and leave events on the stream.
	prompt bool
	stop   func()
}

type attempt struct {
	schemas.Held
	nonce string
	grant schemas.Grant
}

// errKilled is what a stopped attempt's work sees; it reports nothing.
var errKilled = errors.New("killed")

func facts(id string, slots int) schemas.Facts {
	return schemas.Facts{
		Executor: id, Instance: rand.Text(), Slots: slots, HostArch: "amd64", HostOS: "linux", CPUs: 1,
		Offers: []schemas.Offering{{Arch: "amd64", Isolation: schemas.IsolationVM, Accel: "tcg"}},
	}
}

// executor starts one, which stops with the test or before.
func (w *world) executor(id string, slots int, change func(*fakeExecutor)) *fakeExecutor {
	w.Helper()
	e := &fakeExecutor{
		w: w, id: id, facts: facts(id, slots), queue: w.queues.Executor(w, id, w.log),
		held: map[schemas.Held]context.CancelCauseFunc{}, logs: map[schemas.Held][]byte{},
	}
	e.puller = e.queue.NewPuller()
	e.work = func(context.Context, attempt) (schemas.EventKind, schemas.Event) { panic("not set") }
	e.work = e.succeed
	if change != nil {
		change(e)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	e.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.Cleanup(e.stop)
	running.Go(func() {
		if err := e.queue.ServeCommands(ctx, e.command); err != nil {
			w.Error(err)
		}
	})
	hello := e.hello()
	running.Go(func() { e.beatEvery(ctx, time.Duration(hello.BeatMS)*time.Millisecond) })
	for range slots {
		running.Go(func() { e.slot(ctx) })
	}
	return e
}

func (e *fakeExecutor) hello() schemas.HelloReply {
	e.w.Helper()
	var reply schemas.HelloReply
	var err error
	e.w.eventually("somebody who answers", func() bool { // a gateway's subscriptions may yet be on their way
		err = e.queue.Ask(context.Background(), schemas.VerbHello, e.facts, &reply)
		return !errors.Is(err, jobqueue.ErrNobody)
	})
	if err != nil || reply.Refused != "" {
		e.w.Fatalf("hello: %v %s", err, reply.Refused)
	}
	e.puller.SetPools(reply.Pools)
	return reply
}

func (e *fakeExecutor) beatEvery(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if !e.isSilent() {
			e.beat(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (e *fakeExecutor) beat(ctx context.Context) {
	b := schemas.Beat{Instance: e.facts.Instance, Slots: e.facts.Slots}
	e.mu.Lock()
	for h := range e.held {
		b.Held = append(b.Held, h)
	}
	e.mu.Unlock()
	b.Busy = len(b.Held)
	var reply schemas.BeatReply
	if err := e.queue.Ask(ctx, schemas.VerbBeat, b, &reply); err != nil {
		return
	}
	if reply.Unknown {
		e.hello()
		return
	}
	e.puller.SetPools(reply.Pools)
	for _, s := range reply.Stop {
		e.kill(s)
	}
}

func (e *fakeExecutor) kill(s schemas.Stop) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = append(e.stopped, s)
	if cancel := e.held[s.Held]; cancel != nil {
		cancel(errKilled)
		delete(e.held, s.Held)
	}
}

func (e *fakeExecutor) isSilent() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.silent
}

func (e *fakeExecutor) setSilent(silent bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.silent = silent
}

func (e *fakeExecutor) command(_ context.Context, verb string, body []byte) (any, error) {
	if e.isSilent() {
		return nil, nil
	}
	switch verb {
	case schemas.CommandPools:
		var p schemas.Pools
		if err := json.Unmarshal(body, &p); err != nil {
			return nil, err
		}
		e.puller.SetPools(p.Pools)
	case schemas.CommandStop:
		var s schemas.Stop
		if err := json.Unmarshal(body, &s); err != nil {
			return nil, err
		}
		e.kill(s)
		return schemas.StopReply{Ended: true}, nil
	case schemas.CommandLogs:
		var r schemas.LogsRequest
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, err
		}
		return e.log(r), nil
	}
	return nil, nil
}

func (e *fakeExecutor) log(r schemas.LogsRequest) schemas.LogsReply {
	e.mu.Lock()
	defer e.mu.Unlock()
	all, ok := e.logs[r.Held]
	if !ok || r.Stream == schemas.LiveStderr {
		return schemas.LogsReply{Gone: !ok}
	}
	from := min(r.Offset, int64(len(all)))
	return schemas.LogsReply{Data: all[from:min(from+7, int64(len(all)))], End: int64(len(all))}
}

// write is the attempt's program writing to stdout.
func (e *fakeExecutor) write(a attempt, text string, live bool) {
	e.mu.Lock()
	offset := int64(len(e.logs[a.Held]))
	e.logs[a.Held] = append(e.logs[a.Held], text...)
	e.mu.Unlock()
	if !live {
		return
	}
	name := jobqueue.LiveName{Executor: e.id, Job: a.Job, Attempt: a.Attempt, Kind: schemas.LiveStdout}
	if err := e.queue.PublishLive(name, schemas.LogChunk{Offset: offset, Data: []byte(text)}); err != nil {
		e.w.Error(err)
	}
}

func (e *fakeExecutor) slot(ctx context.Context) {
	for {
		offer, err := e.puller.Next(ctx)
		if err != nil {
			return
		}
		e.take(ctx, offer)
	}
}

func (e *fakeExecutor) claim(ctx context.Context, p jobqueue.Place, nonce string) (schemas.ClaimReply, error) {
	var reply schemas.ClaimReply
	err := e.queue.Ask(ctx, schemas.VerbClaim, schemas.Claim{Job: p.Job, Tenant: p.Tenant, Nonce: nonce}, &reply)
	return reply, err
}

func (e *fakeExecutor) take(ctx context.Context, offer *jobqueue.Offer) {
	nonce := rand.Text()
	reply, err := e.claim(ctx, offer.Place, nonce)
	if err != nil {
		if err := offer.Nak(100 * time.Millisecond); err != nil && ctx.Err() == nil {
			e.w.Log(err)
		}
		return
	}
	if err := offer.Ack(); err != nil && ctx.Err() == nil {
		e.w.Log(err)
	}
	if reply.Answer != schemas.AnswerGranted {
		return
	}
	held := schemas.Held{Tenant: offer.Tenant, Job: offer.Job, Attempt: reply.Grant.Attempt}
	actx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.mu.Lock()
	e.held[held] = cancel
	e.mu.Unlock()
	kind, event := e.work(actx, attempt{Held: held, nonce: nonce, grant: *reply.Grant})
	switch {
	case kind == "" || context.Cause(actx) == errKilled:
	case e.prompt:
		e.mustReport(attempt{Held: held}, event, schemas.VerdictAccepted)
	default:
		e.report(held, kind, event)
	}
	e.mu.Lock()
	delete(e.held, held)
	e.mu.Unlock()
}

func (e *fakeExecutor) report(held schemas.Held, kind schemas.EventKind, event schemas.Event) {
	name := jobqueue.EventName{Executor: e.id, Job: held.Job, Attempt: held.Attempt, Kind: kind}
	err := e.queue.PublishEvent(context.Background(), name, event)
	for e.stubborn && err != nil {
		e.w.Log(err)
		err = e.queue.PublishEvent(context.Background(), name, event)
	}
	if err != nil {
		e.w.Error(err)
	}
}

// mustReport asks a gateway to take the report.
func (e *fakeExecutor) mustReport(a attempt, event schemas.Event, want schemas.Verdict) {
	var reply schemas.ReportReply
	ask := schemas.Report{Job: a.Job, Attempt: a.Attempt, Event: event}
	if err := e.queue.Ask(context.Background(), schemas.VerbReport, ask, &reply); err != nil || reply.Verdict != want {
		e.w.Errorf("report answered %q, %v; want %s", reply.Verdict, err, want)
	}
}

func (e *fakeExecutor) succeed(_ context.Context, a attempt) (schemas.EventKind, schemas.Event) {
	return schemas.EventResult, e.result(a, 0)
}

func (e *fakeExecutor) result(a attempt, code int) schemas.Event {
	return e.resultOf(a, schemas.Outcome{ExitCode: &code})
}

func (e *fakeExecutor) resultOf(a attempt, outcome schemas.Outcome) schemas.Event {
	r := schemas.Result{
		Version: schemas.ResultVersion, Job: a.Job, Attempt: a.Attempt, Outcome: outcome,
		RanOn: schemas.RanOn{Executor: e.id, Arch: "amd64", Isolation: schemas.IsolationVM, ImageDigest: submission(spec()).Image.Digest},
	}
	e.mu.Lock()
	log := e.logs[a.Held]
	e.mu.Unlock()
	r.Stdout = schemas.Stdio{Text: string(log), Bytes: int64(len(log))}
	if len(log) > schemas.StdioHead {
		r.Stdout.Text, r.Stdout.Truncated = string(log[:schemas.StdioHead]), true
		stored := e.w.putBytes(a.Held, schemas.ObjectStdout, zstdOf(log))
		r.Stdout.Log = &stored
	}
	event := schemas.Event{Tenant: a.Tenant, Nonce: a.nonce, Outcome: &outcome, AtUS: time.Now().UnixMicro()}
	if e.prompt {
		event.ResultInline = encoded(e.w, r)
		return event
	}
	object := e.w.put(a.Held, schemas.ObjectResult, r)
	event.Result = &object
	return event
}

func (e *fakeExecutor) inlineResult(a attempt) schemas.Event {
	was := e.prompt
	defer func() { e.prompt = was }()
	e.prompt = true
	return e.result(a, 0)
}

func encoded(t testing.TB, r schemas.Result) []byte {
	data, err := json.Marshal(r)
	if err != nil {
		t.Error(err)
	}
	return data
}

func zstdOf(data []byte) []byte {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return enc.EncodeAll(data, nil)
}

func failure(a attempt, code schemas.FailureCode) (schemas.EventKind, schemas.Event) {
	return schemas.EventFailed, schemas.Event{Tenant: a.Tenant, Nonce: a.nonce, Failure: schemas.NewFailure(code, "it broke")}
}
