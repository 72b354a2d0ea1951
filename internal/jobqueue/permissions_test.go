package jobqueue_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// violations collects what the server refuses a connection.
type violations struct {
	mu  sync.Mutex
	all []string
}

func (v *violations) add(_ *nats.Conn, _ *nats.Subscription, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all = append(v.all, strings.ToLower(err.Error()))
}

func (v *violations) has(subject string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.all {
		if strings.Contains(s, "permissions violation") && strings.Contains(s, strings.ToLower(subject)) {
			return true
		}
	}
	return false
}

func raw(t *testing.T, s *queuetest.Server, id string) (*nats.Conn, *violations) {
	t.Helper()
	v := &violations{}
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.UserInfo(id, "test"), nats.ErrorHandler(v.add))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc, v
}

// TestExecutorIsConfined: an executor's user reaches nothing of anybody else.
// That it can do its own work is what all of the coordinator's tests show.
func TestExecutorIsConfined(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "e1", "e2")
	s.Gateway(t, nil)
	nc, v := raw(t, s, "e1")
	job := newJob(t)
	publish := []string{
		"ctl.claim.e2", "ctl.hello.e2", "cmd.e2.stop", "cmd.e1.stop",
		schemas.EventSubject("e2", job, 1, schemas.EventResult),
		schemas.LiveSubject("e2", job, 1, schemas.LiveStdout),
		schemas.OfferSubject("a", schemas.LaneBatch, "local", job),
		"$KV.jobs.local." + job, "$KV.pools.a", "$KV.executors.e2",
		"$JS.API.STREAM.PURGE.JOBS", "$JS.API.STREAM.MSG.GET.KV_jobs", "$JS.API.STREAM.INFO.JOBS",
		"$JS.API.CONSUMER.CREATE.JOBS.x", "$JS.API.CONSUMER.DELETE.JOBS.a_batch", "$JS.API.CONSUMER.MSG.NEXT.REPORTS.gateways",
		"$JS.ACK.REPORTS.gateways.1.1.1.1.1", "_INBOX.someone", "_EXECUTOR.e2.x",
	}
	for _, subject := range publish {
		if err := nc.Publish(subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	subscribe := []string{">", "cmd.e2.*", "ctl.claim.*", "evt.>", "live.>", "jobs.q.>", "_INBOX.>", "_EXECUTOR.>", "_EXECUTOR.e2.>", "$KV.>"}
	for _, subject := range subscribe {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, subject := range append(publish, subscribe...) {
		deadline := time.Now().Add(5 * time.Second)
		for !v.has(`"` + subject + `"`) {
			if time.Now().After(deadline) {
				t.Errorf("%s was not refused", subject)
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// TestForgedDelivery: the reply subject of a pull is not checked by the server,
// so an executor can have an offer delivered to where a gateway or another
// executor listens. The handler must not take it for a request.
func TestForgedDelivery(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "e1", "e2")
	q := s.Gateway(t, nil)
	ensurePool(t, q, "a")
	victim := s.Executor(t, "e2", nil)
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan string, 10)
	var serving sync.WaitGroup
	serving.Go(func() {
		_ = victim.ServeCommands(ctx, func(_ context.Context, verb string, _ []byte) (any, error) {
			heard <- verb
			return struct{}{}, nil
		})
	})
	serving.Go(func() {
		_ = q.Serve(ctx, schemas.VerbBeat, false, func(_ context.Context, executor string, _ []byte) (any, error) {
			heard <- executor
			return struct{}{}, nil
		})
	})
	ask := func(to *jobqueue.Queue) {
		for to.Command(t.Context(), "e2", "true", struct{}{}, &struct{}{}) != nil {
			time.Sleep(time.Millisecond) // until it listens
		}
		if verb := <-heard; verb != "true" {
			t.Errorf("heard %q", verb)
		}
	}
	ask(q)
	attacker, _ := raw(t, s, "e1")
	for _, target := range []string{"cmd.e2.stop", "ctl.beat.e2"} {
		offer(t, q, place(t, "a", schemas.LaneBatch))
		if err := attacker.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.JOBS.a_batch", target, []byte(`{"batch":1,"no_wait":true}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := attacker.Flush(); err != nil {
		t.Fatal(err)
	}
	ask(q) // what was delivered before has been refused by now
	cancel()
	serving.Wait()
	select {
	case who := <-heard:
		t.Errorf("a forged delivery was taken for a request: %s", who)
	default:
	}
}

// TestAnswerGoesNowhereElse: a gateway answers an executor in that executor's inbox
// alone. Its own rights are many, and the server lets an executor name any subject
// as the one for the answer.
func TestAnswerGoesNowhereElse(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "e1", "e2")
	q := s.Gateway(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan string, 10)
	var serving sync.WaitGroup
	serving.Go(func() {
		_ = q.Serve(ctx, schemas.VerbBeat, false, func(_ context.Context, _ string, body []byte) (any, error) {
			asked <- string(body)
			return struct{}{}, nil
		})
	})
	honest := s.Executor(t, "e1", nil)
	for honest.Ask(t.Context(), schemas.VerbBeat, "honest", &struct{}{}) != nil {
		time.Sleep(time.Millisecond) // until it listens
	}
	attacker, _ := raw(t, s, "e1")
	for _, reply := range []string{"$KV.tokens.x", "$JS.API.STREAM.DELETE.KV_jobs", "cmd.e2.stop", "_EXECUTOR.e2.x", "_EXECUTOR.e10.x", "_EXECUTOR.e1"} {
		if err := attacker.PublishRequest("ctl.beat.e1", reply, []byte(`"forged"`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := attacker.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := honest.Ask(t.Context(), schemas.VerbBeat, "honest", &struct{}{}); err != nil {
		t.Fatal(err)
	}
	cancel()
	serving.Wait()
	close(asked)
	for body := range asked {
		if body != `"honest"` {
			t.Errorf("a request was taken whose answer goes elsewhere: %s", body)
		}
	}
	if _, err := q.Tokens.Get(t.Context(), "x"); !errors.Is(err, jobqueue.ErrNotFound) {
		t.Errorf("the bucket of tokens has the answer: %v", err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "e1")
	s.Gateway(t, nil)
	err := s.Executor(t, "e1", nil).Ask(t.Context(), schemas.VerbHello, struct{}{}, &struct{}{})
	if !errors.Is(err, jobqueue.ErrNobody) {
		t.Errorf("Ask = %v, want ErrNobody", err)
	}
}
