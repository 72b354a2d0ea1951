package jobqueue_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// TestStreamOfOffersKeepsItsFile: executors that keep up leave no offer in the stream
// again and again, and the server makes a file for each time that its newest has none.
func TestStreamOfOffersKeepsItsFile(t *testing.T) {
	t.Parallel()
	const offers, most = 600, 160
	s := queuetest.Start(t)
	q := s.Gateway(t, nil)
	fillFile(t, s)
	before := filesOfOffers(t, s)
	for i := range offers {
		place := jobqueue.Place{Pool: "p", Lane: schemas.LaneBatch, Tenant: "t", Job: fmt.Sprintf("j%d", i)}
		if stored, err := q.PublishOffer(t.Context(), place, place.Job); err != nil || !stored {
			t.Fatalf("PublishOffer = %t, %v", stored, err)
		}
		if err := q.TakeBack(t.Context(), place); err != nil {
			t.Fatal(err)
		}
	}
	n := filesOfOffers(t, s) - before
	t.Logf("%d files more", n)
	if n > most {
		t.Errorf("%d files more after %d offers, want at most %d", n, offers, most)
	}
	// One that moves now has both for a moment.
	js := rawGateway(t, s)
	var left uint64
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stream, err := js.Stream(t.Context(), schemas.StreamJobs)
		if err != nil {
			t.Fatal(err)
		}
		if left = stream.CachedInfo().State.Msgs; left == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages left, want the one that keeps the file", left)
		}
	}
}

// TestFileIsKeptByOneOfManyGateways, whatever they do at once, and with what one of them
// left that ended halfway.
func TestFileIsKeptByOneOfManyGateways(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	queues := []*jobqueue.Queue{s.Gateway(t, nil), s.Gateway(t, nil), s.Gateway(t, nil)}
	js := rawGateway(t, s)
	if _, err := js.Publish(t.Context(), "jobs.q.keep.too", nil); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for g, q := range queues {
		go func() {
			for i := range 200 {
				place := jobqueue.Place{Pool: "p", Lane: schemas.LaneBatch, Tenant: "t", Job: fmt.Sprintf("j%d-%d", g, i)}
				_, err := q.PublishOffer(t.Context(), place, place.Job)
				if err == nil {
					err = q.TakeBack(t.Context(), place)
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range queues {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stream, err := js.Stream(t.Context(), schemas.StreamJobs)
		if err != nil {
			t.Fatal(err)
		}
		state := stream.CachedInfo().State
		if state.Msgs == 1 && state.FirstSeq+100 > state.LastSeq {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v, want one message near the end", state)
		}
	}
}

// TestFileIsKeptInAStreamMadeAnew, whose numbers begin again: the gateway knows higher ones.
func TestFileIsKeptInAStreamMadeAnew(t *testing.T) {
	t.Parallel()
	const offers = 200
	s := queuetest.Start(t)
	q, other, js := s.Gateway(t, nil), s.Gateway(t, nil), rawGateway(t, s)
	offer := func(round string) {
		for i := range offers {
			place := jobqueue.Place{Pool: "p", Lane: schemas.LaneBatch, Tenant: "t", Job: fmt.Sprintf("j%s-%d", round, i)}
			_, err := q.PublishOffer(t.Context(), place, place.Job)
			if err == nil {
				err = q.TakeBack(t.Context(), place)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	offer("a")
	if err := js.DeleteStream(t.Context(), schemas.StreamJobs); err != nil {
		t.Fatal(err)
	}
	if err := other.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), schemas.StreamJobs)
	if err == nil {
		err = stream.Purge(t.Context(), jetstream.WithPurgeSubject("jobs.q.keep")) // as a restored stream has none
	}
	if err != nil {
		t.Fatal(err)
	}
	offer("b")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		info, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if info.State.Msgs == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v, want the message that keeps the file", info.State)
		}
	}
}

// fillFile has the server begin a new file: the message that keeps the first stays there.
func fillFile(t *testing.T, s *queuetest.Server) {
	t.Helper()
	js := rawGateway(t, s)
	before := filesOfOffers(t, s)
	large := make([]byte, 60<<10)
	for i := 0; filesOfOffers(t, s) == before; i++ {
		if i == 1000 {
			t.Fatal("60 MB, and no second file")
		}
		if _, err := js.Publish(t.Context(), schemas.OfferSubject("large", schemas.LaneBatch, "t", fmt.Sprintf("l%d", i)), large); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := js.Stream(t.Context(), schemas.StreamJobs)
	if err == nil {
		err = stream.Purge(t.Context(), jetstream.WithPurgeSubject(schemas.OfferFilter("large", schemas.LaneBatch)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func filesOfOffers(t *testing.T, s *queuetest.Server) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.JetStreamConfig().StoreDir, "$G", "streams", schemas.StreamJobs, "msgs", "*.blk"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
