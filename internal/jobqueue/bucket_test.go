package jobqueue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

func TestBucketCompareAndSet(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t).Gateway(t, nil)
	ctx := t.Context()
	rev, err := q.Jobs.Create(ctx, "a.b", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Jobs.Create(ctx, "a.b", []byte("2")); !errors.Is(err, jobqueue.ErrConflict) {
		t.Errorf("second Create = %v", err)
	}
	if _, err := q.Jobs.Update(ctx, "a.b", []byte("2"), rev+1); !errors.Is(err, jobqueue.ErrConflict) {
		t.Errorf("Update of another revision = %v", err)
	}
	next, err := q.Jobs.Update(ctx, "a.b", []byte("2"), rev)
	if err != nil || next <= rev {
		t.Errorf("Update = %d, %v", next, err)
	}
	if e, err := q.Jobs.Get(ctx, "a.b"); err != nil || string(e.Value) != "2" || e.Revision != next {
		t.Errorf("Get = %+v, %v", e, err)
	}
	if err := q.Jobs.Delete(ctx, "a.b", rev); !errors.Is(err, jobqueue.ErrConflict) {
		t.Errorf("Delete of an old revision = %v", err)
	}
	if err := q.Jobs.Delete(ctx, "a.b", next); err != nil {
		t.Error(err)
	}
	if _, err := q.Jobs.Get(ctx, "a.b"); !errors.Is(err, jobqueue.ErrNotFound) {
		t.Errorf("Get after Delete = %v", err)
	}
	if again, err := q.Jobs.Create(ctx, "a.b", []byte("3")); err != nil || again <= next {
		t.Errorf("Create after Delete = %d, %v", again, err)
	}
	if _, err := q.Jobs.Create(ctx, "a.b", []byte("4")); !errors.Is(err, jobqueue.ErrConflict) {
		t.Errorf("Create of what was created anew = %v", err)
	}
}

// TestWatchOutlivesTheServer: all values, then every write, also those that
// were made around a restart.
func TestWatchOutlivesTheServer(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	q := s.Gateway(t, nil)
	put := func(i int) {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := q.Jobs.Put(ctx, fmt.Sprintf("a.%d", i), nil)
			cancel()
			if err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	put(0)
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	entries, loaded := make(chan jobqueue.Entry, 100), make(chan struct{})
	watching.Go(func() {
		if err := q.Jobs.Watch(ctx, func(e jobqueue.Entry) { entries <- e }, func() { close(loaded) }); err != nil {
			t.Error(err)
		}
	})
	<-loaded
	put(1)
	s.Restart(t)
	put(2)
	for i := range 3 {
		select {
		case e := <-entries:
			if e.Key != fmt.Sprintf("a.%d", i) {
				t.Errorf("entry %d is %s", i, e.Key)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("entry %d never came", i)
		}
	}
	cancel()
	watching.Wait()
}

func TestEvents(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "e1")
	q := s.Gateway(t, nil)
	e := s.Executor(t, "e1", nil)
	name := jobqueue.EventName{Executor: "e1", Job: newJob(t), Attempt: 1, Kind: schemas.EventFailed}
	event := schemas.Event{Tenant: "local", Nonce: "n", Failure: schemas.NewFailure(schemas.FailGuest, "x"), AtUS: 1}
	if _, _, err := q.FindEvent(t.Context(), "e1", name.Job, 1); !errors.Is(err, jobqueue.ErrNotFound) {
		t.Errorf("FindEvent = %v", err)
	}
	for range 2 { // the second is a repetition
		if err := e.PublishEvent(t.Context(), name, event); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.PublishEvent(t.Context(), jobqueue.EventName{Executor: "e1", Job: name.Job, Attempt: 2, Kind: schemas.EventResult}, event); err != nil {
		t.Fatal(err) // a failure that says it is a result: to be refused
	}
	if n, found, err := q.FindEvent(t.Context(), "e1", name.Job, 1); err != nil || n != name || found.Nonce != "n" {
		t.Errorf("FindEvent = %+v, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan jobqueue.EventName, 10)
	var consuming sync.WaitGroup
	tries := 0
	consuming.Go(func() {
		err := q.ConsumeEvents(ctx, func(_ context.Context, n jobqueue.EventName, _ schemas.Event) jobqueue.Verdict {
			got <- n
			if tries++; tries == 1 {
				return jobqueue.Verdict{Retry: time.Millisecond}
			}
			return jobqueue.Verdict{}
		})
		if err != nil {
			t.Error(err)
		}
	})
	for range 2 { // once, and again as it was asked for
		if n := <-got; n != name {
			t.Errorf("got %+v", n)
		}
	}
	cancel()
	consuming.Wait()
	if len(got) != 0 {
		t.Errorf("got %+v, too", <-got)
	}
	// What was handled is gone, as soon as the server has its acknowledgement.
	for deadline := time.Now().Add(30 * time.Second); ; {
		_, _, err := q.FindEvent(t.Context(), "e1", name.Job, 1)
		if errors.Is(err, jobqueue.ErrNotFound) {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("FindEvent of what was handled = %v", err)
		}
	}
}

func TestConnectWaits(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := jobqueue.Connect(ctx, jobqueue.Config{URL: "nats://user:secret@127.0.0.1:1"})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Connect = %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("the error tells the password: %v", err)
	}
}
