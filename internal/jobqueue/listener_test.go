package jobqueue_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// TestManyListenersAreOne for the server: each hears everything, one that is slow
// loses what is too much and slows nobody.
func TestManyListenersAreOne(t *testing.T) {
	t.Parallel()
	const readers, messages = 50, 100
	const job = "j0000000000000000000000001"
	server := queuetest.Start(t, "e1")
	gateway, executor := server.Gateway(t, nil), server.Executor(t, "e1", nil)
	before := server.NumSubscriptions()
	listeners := make([]*jobqueue.Listener, readers)
	for i := range listeners {
		l, err := gateway.Listen(job)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		listeners[i] = l
	}
	if n := server.NumSubscriptions() - before; n != 1 {
		t.Errorf("%d subscriptions for one job", n)
	}
	slow := listeners[0]
	name := jobqueue.LiveName{Executor: "e1", Job: job, Attempt: 1, Kind: schemas.LiveStdout}
	chunk := bytes.Repeat([]byte("x"), 48<<10) // 100 of them are more than waits for one
	for i := range messages {
		if err := executor.PublishLive(name, schemas.LogChunk{Offset: int64(i), Data: chunk}); err != nil {
			t.Fatal(err)
		}
		var body []byte
		for n, l := range listeners[1:] {
			m, err := l.Next(t.Context())
			if err != nil || m.LiveName != name || n > 0 && !bytes.Equal(m.Body, body) {
				t.Fatalf("listener %d: %+v, %v", n, m.LiveName, err)
			}
			body = m.Body
		}
		if got, err := schemas.DecodeControl[schemas.LogChunk](body); err != nil || got.Offset != int64(i) {
			t.Fatalf("chunk at %d, want %d, %v", got.Offset, i, err)
		}
	}
	dropped := slow.Dropped()
	if dropped == 0 || dropped >= messages {
		t.Errorf("the slow listener lost %d of %d", dropped, messages)
	}
	for range messages - dropped {
		if _, err := slow.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if m, err := slow.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("one more: %+v, %v", m.LiveName, err)
	}
}

// TestListenAgain: the last to leave ends the subscription, and the next makes one.
func TestListenAgain(t *testing.T) {
	t.Parallel()
	const job = "j0000000000000000000000001"
	server := queuetest.Start(t, "e1")
	gateway, executor := server.Gateway(t, nil), server.Executor(t, "e1", nil)
	name := jobqueue.LiveName{Executor: "e1", Job: job, Attempt: 1, Kind: schemas.LiveStage}
	for range 3 {
		first, err := gateway.Listen(job)
		if err != nil {
			t.Fatal(err)
		}
		second, err := gateway.Listen(job)
		if err != nil {
			t.Fatal(err)
		}
		first.Close()
		if err := executor.PublishLive(name, schemas.Stage{}); err != nil {
			t.Fatal(err)
		}
		if m, err := second.Next(t.Context()); err != nil || m.Kind != schemas.LiveStage {
			t.Errorf("%+v, %v", m.LiveName, err)
		}
		second.Close()
		if _, err := second.Next(t.Context()); !errors.Is(err, jobqueue.ErrClosed) {
			t.Errorf("after it was closed: %v", err)
		}
	}
}
