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
	b := newBakeLimits(HostConfig{BakeEvery: time.Hour, BakeBurst: 1, BakePatience: time.Hour})
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
	b := newBakeLimits(HostConfig{BakeEvery: time.Second, BakeBurst: 8, BakePatience: time.Hour})
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
	b := newBakeLimits(HostConfig{BakeEvery: time.Hour, BakeBurst: 8, BakePatience: time.Hour})
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

// Many bakes of others keep nobody from a machine that boots; one of the same snapshot is waited for.
func TestBakesOfOthersAreNotWaitedForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBakeLimits(HostConfig{BakeEvery: time.Second, BakeBurst: 8, BakePatience: 10 * time.Second})
		done, err := b.begin(t.Context(), "one", "a")
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if _, err := b.begin(t.Context(), "two", "b"); !errors.Is(err, errBakeRefused) || time.Since(begun) != 10*time.Second {
			t.Errorf("another snapshot's: %v after %s", err, time.Since(begun))
		}
		time.AfterFunc(time.Minute, func() { done(t.Context(), nil) })
		for _, tenant := range []string{"two", ""} {
			id := "a"
			if tenant == "" {
				id = "c" // the operator waits for anything
			}
			again, err := b.begin(t.Context(), tenant, id)
			if err != nil {
				t.Errorf("%q: %v", tenant, err)
				continue
			}
			again(t.Context(), nil)
		}
	})
}

// A host that fails good snapshots once loses none.
func TestSuspects(t *testing.T) {
	t.Parallel()
	h, err := NewHost(HostConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true} {
		if got := h.suspect("a", true); got != want {
			t.Errorf("failure %d: %v", i+1, got)
		}
	}
	h.suspect("a", false)
	if h.suspect("a", true) {
		t.Error("a success does not clear it")
	}
}
