package history

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestRounds: whoever asks gets the answer to a question that was asked afterwards,
// and few are asked.
func TestRounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r rounds
		var clock, asked atomic.Uint64 // clock is what the bucket's leader would say
		question := func(context.Context) (uint64, error) {
			asked.Add(1)
			time.Sleep(time.Second)
			defer time.Sleep(time.Second)
			return clock.Load(), nil
		}
		var all sync.WaitGroup
		const askers = 200
		for range askers {
			all.Go(func() {
				time.Sleep(time.Duration(rand.IntN(20_000)) * time.Millisecond)
				before := clock.Add(1)
				if last, err := r.ask(t.Context(), question); err != nil || last < before {
					t.Errorf("%d, %v is older than the question, of %d", last, err, before)
				}
			})
		}
		all.Wait()
		if n := asked.Load(); n > 13 {
			t.Errorf("%d questions in 22 s, of 2 s each", n)
		}
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.asking || r.next != nil {
			t.Error("somebody still asks")
		}
	})
}

// TestRoundsAfterTheQuestion: the one that is under way does not answer who comes now.
func TestRoundsAfterTheQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r rounds
		answers := make(chan uint64)
		question := func(context.Context) (uint64, error) { return <-answers, nil }
		got := make(chan uint64, 2)
		ask := func() {
			last, _ := r.ask(t.Context(), question)
			got <- last
		}
		go ask()
		synctest.Wait() // the first question is under way
		go ask()
		synctest.Wait()
		answers <- 1
		if first := <-got; first != 1 {
			t.Errorf("the first was told %d", first)
		}
		synctest.Wait()
		select {
		case second := <-got:
			t.Fatalf("the second was told %d, of before it asked", second)
		default:
		}
		answers <- 2
		if second := <-got; second != 2 {
			t.Errorf("the second was told %d", second)
		}
	})
}

// TestRoundsEnd: who leaves takes nobody's answer away, and a question has an end.
func TestRoundsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r rounds
		question := func(ctx context.Context) (uint64, error) { <-ctx.Done(); return 0, ctx.Err() }
		leaving, leave := context.WithCancel(t.Context())
		left, stayed := make(chan error), make(chan error)
		go func() { _, err := r.ask(leaving, question); left <- err }()
		synctest.Wait()
		go func() { _, err := r.ask(t.Context(), question); stayed <- err }()
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v", err)
		}
		begin := time.Now()
		if err := <-stayed; !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 2*roundTimeout {
			t.Errorf("who stayed: %v after %s", err, time.Since(begin))
		}
	})
}
