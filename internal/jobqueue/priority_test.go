package jobqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// waitingPuller has a pull at the server until ctx ends; what it gets is acknowledged.
func waitingPuller(ctx context.Context, t *testing.T, q *jobqueue.Queue, pools map[string]int) <-chan string {
	t.Helper()
	puller := q.NewPuller()
	puller.SetPools(pools)
	got := make(chan string, 100)
	go func() {
		for {
			o, err := puller.Next(ctx)
			if err != nil {
				return
			}
			if err := o.Ack(); err != nil {
				t.Error(err)
			}
			got <- o.Job
		}
	}()
	return got
}

// TestBestFitFirst: of those that wait, the one with the lowest number gets the
// offer, and the other one as soon as that does not wait.
func TestBestFitFirst(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "exact", "over")
	q := s.Gateway(t, nil)
	ensurePool(t, q, "a")
	ctx, leave := context.WithCancel(t.Context())
	// The worse one waits first: the order of arrival must not decide.
	over := waitingPuller(t.Context(), t, s.Executor(t, "over", nil), map[string]int{"a": 3})
	waiting(t, q, "a", 1)
	exact := waitingPuller(ctx, t, s.Executor(t, "exact", nil), map[string]int{"a": 0})
	for range 20 {
		waiting(t, q, "a", 2)
		p := place(t, "a", schemas.LaneInteractive)
		offer(t, q, p)
		select {
		case job := <-exact:
			if job != p.Job {
				t.Errorf("got %s, want %s", job, p.Job)
			}
		case <-over:
			t.Error("the worse fit got it")
		}
	}
	leave()
	p := place(t, "a", schemas.LaneInteractive)
	offer(t, q, p)
	select {
	case job := <-over:
		if job != p.Job {
			t.Errorf("got %s, want %s", job, p.Job)
		}
	case <-time.After(10 * time.Second):
		t.Error("nobody got it once the better fit had left")
	}
}

// waiting waits until so many pulls lie at each of the pool's consumers.
func waiting(t *testing.T, q *jobqueue.Queue, pool string, n int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		all := true
		for _, lane := range []string{schemas.LaneInteractive, schemas.LaneBatch} {
			idle, err := q.Idle(t.Context(), pool, lane)
			if err != nil {
				t.Fatal(err)
			}
			all = all && idle.Pulls == n
		}
		if all {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d pulls do not come to wait", n)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// TestChoosesWhatFitsBest: an executor with a choice takes the job that it fits
// best, unless another one has waited for long.
func TestChoosesWhatFitsBest(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "e1")
	q := s.Gateway(t, nil)
	ensurePool(t, q, "plain", "special")
	puller := s.Executor(t, "e1", nil).NewPuller()
	puller.SetPools(map[string]int{"plain": 2, "special": 0})
	plain, special := place(t, "plain", schemas.LaneBatch), place(t, "special", schemas.LaneBatch)
	offer(t, q, plain)
	offer(t, q, special)
	for _, want := range []jobqueue.Place{special, plain} {
		o := next(t, puller)
		if o.Place != want {
			t.Errorf("got %v, want %v", o.Place, want)
		}
		if err := o.Ack(); err != nil {
			t.Error(err)
		}
	}
	plain = place(t, "plain", schemas.LaneBatch)
	offer(t, q, plain)
	time.Sleep(2100 * time.Millisecond) // what it takes to outweigh a priority of 2
	special = place(t, "special", schemas.LaneBatch)
	offer(t, q, special)
	for _, want := range []jobqueue.Place{plain, special} {
		o := next(t, puller)
		if o.Place != want {
			t.Errorf("got %v, want %v", o.Place, want)
		}
		if err := o.Ack(); err != nil {
			t.Error(err)
		}
	}
}

// TestOldConsumer: one that was made without priorities gets them.
func TestOldConsumer(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	q := s.Gateway(t, nil)
	nc, _ := raw(t, s, "gateway")
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	name := schemas.ConsumerName("a", schemas.LaneBatch)
	if _, err := js.CreateConsumer(t.Context(), schemas.StreamJobs, jetstream.ConsumerConfig{
		Durable: name, FilterSubject: schemas.OfferFilter("a", schemas.LaneBatch), AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: jobqueue.AckWait, MaxDeliver: -1, MaxAckPending: 10_000, MaxWaiting: 10_000,
	}); err != nil {
		t.Fatal(err)
	}
	ensurePool(t, q, "a")
	c, err := js.Consumer(t.Context(), schemas.StreamJobs, name)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.CachedInfo().Config.PriorityPolicy; got != jetstream.PriorityPolicyPrioritized {
		t.Errorf("policy %v", got)
	}
}
