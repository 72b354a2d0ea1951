package jobqueue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// TestStreamsAreMadeOnceTheServerIsBack: a gateway that starts as the server goes
// away waits for it, as it does before it is connected.
func TestStreamsAreMadeOnceTheServerIsBack(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	q, err := jobqueue.Connect(t.Context(), jobqueue.Config{Server: server, User: "gateway", Password: "test", Synced: true})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	server.Shutdown()
	server.WaitForShutdown()
	made := make(chan error, 1)
	go func() { made <- q.EnsureStreams(t.Context()) }()
	select {
	case err := <-made:
		t.Fatalf("gave up: %v", err)
	case <-time.After(500 * time.Millisecond): // some tries
	}
	server.Restart(t)
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	if _, err := q.Jobs.Put(t.Context(), "a.b", nil); err != nil {
		t.Error(err)
	}
}

func TestStreamsAreNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	q, err := jobqueue.Connect(t.Context(), jobqueue.Config{Server: server, User: "gateway", Password: "test", Synced: true})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	server.Shutdown()
	server.WaitForShutdown()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := q.EnsureStreams(ctx); err == nil || ctx.Err() == nil {
		t.Errorf("ended with %v", err)
	}
}

// TestBucketsOfAnEarlierVersion, of which nothing goes by itself, are made to let markers and
// values go: what they hold is kept.
func TestBucketsOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	js := rawGateway(t, s)
	for _, bucket := range []string{schemas.BucketWebhooks, schemas.BucketDeliveries} {
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: "KV_" + bucket, Subjects: []string{"$KV." + bucket + ".>"}, Storage: jetstream.FileStorage,
			MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DenyDelete: true, AllowRollup: true,
		})
		if err == nil {
			_, err = js.Publish(t.Context(), "$KV."+bucket+".a.b", []byte("1"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	q := s.Gateway(t, nil)
	for _, b := range []*jobqueue.Bucket{q.Webhooks, q.Deliveries} {
		if e, err := b.Get(t.Context(), "a.b"); err != nil || string(e.Value) != "1" {
			t.Errorf("%+v, %v", e, err)
		}
	}
	if rev, err := q.Deliveries.UpdateFor(t.Context(), "a.b", []byte("2"), 1, time.Second); err != nil || rev != 2 {
		t.Errorf("UpdateFor = %d, %v", rev, err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := q.Deliveries.Get(t.Context(), "a.b"); errors.Is(err, jobqueue.ErrNotFound) {
			break
		} else if err != nil || time.Now().After(deadline) {
			t.Fatalf("it is still there: %v", err)
		}
	}
	marker, err := q.Webhooks.Retire(t.Context(), "a.b", 1)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KV_"+schemas.BucketWebhooks)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetMsg(t.Context(), marker)
	if err != nil || msg.Header.Get(jetstream.MsgTTLHeader) != jobqueue.MarkerAge.String() {
		t.Errorf("marker %+v, %v", msg, err)
	}
}
