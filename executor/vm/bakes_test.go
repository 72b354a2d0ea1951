package vm

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/program-explorer/pe/executor"
)

// Jobs that wait for one snapshot's bake pay for one, not one each.
func TestOnlyBakesArePaid(t *testing.T) {
	t.Parallel()
	b := newBakeLimits(time.Hour, 1, 1)
	for i := range 3 {
		done, err := b.begin(t.Context(), "tenant", "snapshot")
		if err != nil {
			t.Fatalf("wait %d: %v", i, err)
		}
		done(t.Context(), nil) // it was there when its turn came
	}
	if err := b.pay("tenant"); err != nil {
		t.Error(err)
	}
	if _, err := b.begin(t.Context(), "tenant", "another"); !errors.Is(err, errBakeRefused) {
		t.Errorf("over the limit: %v", err)
	}
	if err := b.pay("tenant"); !errors.Is(err, errBakeRefused) {
		t.Errorf("paid over the limit: %v", err)
	}
	if _, err := b.begin(t.Context(), "", "another"); err != nil {
		t.Errorf("the operator: %v", err)
	}
}

// A bake that fails is not tried again by each job that waited for it, and its turn is given back.
func TestFailedBakeIsNotTriedByAll(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"bake":    errors.New("no boot"),
		"warm-up": &executor.WarmupError{Argv: []string{"false"}, Reason: "exit code 1"},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { failForAll(t, failure) }) })
	}
}

func failForAll(t *testing.T, failure error) {
	b := newBakeLimits(time.Second, 8, 1)
	first, err := b.begin(t.Context(), "tenant", "snapshot")
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error)
	for range 3 {
		go func() {
			done, err := b.begin(t.Context(), "tenant", "snapshot")
			if err == nil {
				done(t.Context(), failure)
			}
			waiting <- err
		}()
	}
	synctest.Wait()
	first(t.Context(), failure)
	for range 3 {
		if err := <-waiting; !errors.Is(err, failure) {
			t.Errorf("tried again: %v", err)
		}
	}
	time.Sleep(firstPause)
	done, err := b.begin(t.Context(), "tenant", "snapshot")
	if err != nil {
		t.Fatalf("after a pause: %v", err)
	}
	done(t.Context(), nil)
}

// A bake that was cancelled, or not paid, is no failure of the snapshot.
func TestBakesThatWereNone(t *testing.T) {
	t.Parallel()
	b := newBakeLimits(time.Hour, 8, 1)
	cancelled, cancel := context.WithCancel(t.Context())
	done, err := b.begin(cancelled, "tenant", "snapshot")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	done(cancelled, context.Canceled)
	if done, err = b.begin(t.Context(), "tenant", "snapshot"); err != nil {
		t.Fatalf("after a cancelled one: %v", err)
	}
	done(t.Context(), errBakeRefused)
	if _, err = b.begin(t.Context(), "another", "snapshot"); err != nil {
		t.Errorf("after one that was not paid: %v", err)
	}
}
