package jobqueue

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestOneAskerWaitsBehindItself: however much one asks, the handlers of others run.
func TestOneAskerWaitsBehindItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, release := newAskers(), make(chan struct{})
		var greedy, other atomic.Int64
		taken := 0
		for range eachAtOnce + eachWaiting + 5 {
			if s.do(t.Context(), "greedy", request{1, func() { <-release; greedy.Add(1) }}) {
				taken++
			}
		}
		if taken != eachAtOnce+eachWaiting {
			t.Errorf("%d requests taken", taken)
		}
		if s.do(t.Context(), "large", request{1, func() { <-release }}); len(s.of) != 2 {
			t.Error("a second asker has to wait")
		}
		s.do(t.Context(), "other", request{1, func() { other.Add(1) }})
		synctest.Wait()
		if other.Load() != 1 || greedy.Load() != 0 {
			t.Errorf("handled: %d of the greedy one, %d of the other", greedy.Load(), other.Load())
		}
		close(release)
		s.wait()
		if int(greedy.Load()) != taken || len(s.of) != 0 {
			t.Errorf("%d of %d handled, %d askers remembered", greedy.Load(), taken, len(s.of))
		}
	})
}

// TestAskersKeepNoMoreThanTheirBytes, and drop what waits when it is over.
func TestAskersKeepNoMoreThanTheirBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s, release := newAskers(), make(chan struct{})
		var handled atomic.Int64
		handle := func() { <-release; handled.Add(1) }
		for range eachAtOnce {
			s.do(ctx, "a", request{eachWaitingBytes, handle})
		}
		if !s.do(ctx, "a", request{eachWaitingBytes, handle}) || s.do(ctx, "a", request{1, handle}) {
			t.Error("the bytes that wait are not bounded")
		}
		synctest.Wait()
		cancel()
		close(release)
		s.wait()
		if handled.Load() != eachAtOnce {
			t.Errorf("%d handled, want those that ran when it was over", handled.Load())
		}
	})
}
