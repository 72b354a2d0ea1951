package jobqueue_test

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// TestEventsOfAnEarlierVersion: what its stream holds and no gateway handled is not lost.
func TestEventsOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "e1")
	js := rawGateway(t, s)
	before, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "EVENTS", Subjects: []string{schemas.EventsAll}, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
	})
	if err != nil {
		t.Fatal(err)
	}
	e := s.Executor(t, "e1", nil)
	names := make([]jobqueue.EventName, 3)
	for i := range names {
		names[i] = jobqueue.EventName{Executor: "e1", Job: newJob(t), Attempt: 1, Kind: schemas.EventFailed}
		event := schemas.Event{Tenant: "local", Nonce: "n", Failure: schemas.NewFailure(schemas.FailGuest, "x"), AtUS: 1}
		if err := e.PublishEvent(t.Context(), names[i], event); err != nil {
			t.Fatal(err)
		}
	}
	handleFirst(t, before)
	if _, err := js.Publish(t.Context(), "evt.e1.nonsense", []byte("{")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds nothing left to do
		q := s.Gateway(t, nil)
		for i, name := range names {
			_, _, err := q.FindEvent(t.Context(), "e1", name.Job, 1)
			if handled := i == 0; errors.Is(err, jobqueue.ErrNotFound) != handled || !handled && err != nil {
				t.Errorf("event %d: %v", i, err)
			}
		}
	}
	if _, err := js.Stream(t.Context(), "EVENTS"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("the earlier stream: %v", err)
	}
}

func rawGateway(t *testing.T, s *queuetest.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.UserInfo("gateway", "test"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func handleFirst(t *testing.T, stream jetstream.Stream) {
	t.Helper()
	c, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "gateways", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := c.Next()
	if err == nil {
		err = msg.DoubleAck(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}
