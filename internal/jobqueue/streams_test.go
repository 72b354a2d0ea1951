package jobqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
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
