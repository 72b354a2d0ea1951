package jobqueue_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

func newJob(t testing.TB) string {
	t.Helper()
	id, err := schemas.NewJobID(time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func place(t testing.TB, pool, lane string) jobqueue.Place {
	return jobqueue.Place{Pool: pool, Lane: lane, Tenant: "local", Job: newJob(t)}
}

func offer(t testing.TB, q *jobqueue.Queue, p jobqueue.Place) {
	t.Helper()
	if stored, err := q.PublishOffer(t.Context(), p, p.Job+".1"); err != nil || !stored {
		t.Fatalf("PublishOffer = %v, %v", stored, err)
	}
}

func ensurePool(t testing.TB, q *jobqueue.Queue, pools ...string) {
	t.Helper()
	for _, pool := range pools {
		if err := q.EnsurePool(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
	}
}

func next(t testing.TB, p *jobqueue.Puller) *jobqueue.Offer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	o, err := p.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOfferIsOneMessage(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t).Gateway(t, nil)
	p := place(t, "amd64-strong", schemas.LaneBatch)
	offer(t, q, p)
	if stored, err := q.PublishOffer(t.Context(), p, p.Job+".1"); err != nil || stored {
		t.Errorf("the same feed again = %v, %v; want not stored, no error", stored, err)
	}
	if _, err := q.PublishOffer(t.Context(), p, p.Job+".2"); !errors.Is(err, jobqueue.ErrOffered) {
		t.Errorf("another feed = %v, want ErrOffered", err)
	}
	places, err := q.Offered(t.Context(), p.Pool, p.Lane)
	if err != nil || !slices.Equal(places, []jobqueue.Place{p}) {
		t.Errorf("Offered = %v, %v", places, err)
	}
	if err := q.TakeBack(t.Context(), p); err != nil {
		t.Error(err)
	}
	if places, err = q.Offered(t.Context(), p.Pool, p.Lane); err != nil || len(places) != 0 {
		t.Errorf("after taking back, Offered = %v, %v", places, err)
	}
}

func TestPullInteractiveFirst(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "e1")
	q := s.Gateway(t, nil)
	ensurePool(t, q, "a", "b")
	batch, interactive := place(t, "a", schemas.LaneBatch), place(t, "b", schemas.LaneInteractive)
	offer(t, q, batch)
	offer(t, q, interactive)
	puller := s.Executor(t, "e1", nil).NewPuller()
	puller.SetPools(map[string]int{"a": 0, "b": 0})
	for _, want := range []jobqueue.Place{interactive, batch} {
		o := next(t, puller)
		if o.Place != want {
			t.Errorf("got %v, want %v", o.Place, want)
		}
		if err := o.Ack(); err != nil {
			t.Error(err)
		}
	}
}

func TestNakComesAgain(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "e1", "e2")
	q := s.Gateway(t, nil)
	ensurePool(t, q, "a")
	p := place(t, "a", schemas.LaneInteractive)
	one, two := s.Executor(t, "e1", nil).NewPuller(), s.Executor(t, "e2", nil).NewPuller()
	one.SetPools(map[string]int{"a": 0})
	two.SetPools(map[string]int{"a": 0})
	offer(t, q, p)
	if err := next(t, one).Nak(0); err != nil {
		t.Fatal(err)
	}
	if o := next(t, two); o.Place != p {
		t.Errorf("got %v", o.Place)
	}
}

// TestAbandonedPulls: a slot that stops waiting must take no offer with it.
func TestAbandonedPulls(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "e1")
	q := s.Gateway(t, nil)
	ensurePool(t, q, "a", "b", "c")
	puller := s.Executor(t, "e1", nil).NewPuller()
	puller.SetPools(map[string]int{"a": 0, "b": 0, "c": 0})
	begin := time.Now()
	for i := range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%20)*100*time.Microsecond)
		p := place(t, "c", schemas.LaneInteractive)
		offer(t, q, p)
		o, err := puller.Next(ctx)
		cancel()
		if err != nil {
			o = next(t, puller)
		}
		if o.Place != p {
			t.Fatalf("got %v, want %v", o.Place, p)
		}
		if err := o.Ack(); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begin); took > jobqueue.AckWait {
		t.Errorf("took %s: offers waited for a pull that nobody reads", took)
	}
}

func TestPoolsMayChangeWhileWaiting(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "e1")
	q := s.Gateway(t, nil)
	puller := s.Executor(t, "e1", nil).NewPuller()
	got := make(chan *jobqueue.Offer)
	go func() {
		o, err := puller.Next(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- o
	}()
	puller.SetPools(map[string]int{"late": 0}) // its consumer is not there yet
	ensurePool(t, q, "late")
	p := place(t, "late", schemas.LaneBatch)
	offer(t, q, p)
	if o := <-got; o.Place != p {
		t.Errorf("got %v", o.Place)
	}
}

// BenchmarkDelivery measures publish → delivery to a waiting slot.
func BenchmarkDelivery(b *testing.B) {
	s := queuetest.Start(b, "e1")
	q := s.Gateway(b, nil)
	ensurePool(b, q, "a")
	puller := s.Executor(b, "e1", nil).NewPuller()
	puller.SetPools(map[string]int{"a": 0})
	var waits []time.Duration
	for i := range b.N {
		got := make(chan *jobqueue.Offer)
		go func() { got <- next(b, puller) }()
		time.Sleep(2 * time.Millisecond) // until the pull lies at the server
		p := place(b, "a", schemas.LaneInteractive)
		begin := time.Now()
		if _, err := q.PublishOffer(b.Context(), p, fmt.Sprint(i)); err != nil {
			b.Fatal(err)
		}
		o := <-got
		waits = append(waits, o.Received.Sub(begin))
		if err := o.Ack(); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(waits)
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds()), "p99-µs")
}
