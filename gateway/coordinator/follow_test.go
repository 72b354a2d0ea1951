package coordinator_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// collect reads updates to their end, and checks that stdout has no gaps.
func (w *world) collect(updates <-chan coordinator.Update, from int64) (stdout string, states []schemas.State) {
	w.Helper()
	late := time.After(patience)
	for {
		select {
		case <-late:
			w.Fatal("updates do not end")
		case u, ok := <-updates:
			switch {
			case !ok:
				return stdout, states
			case u.Record != nil:
				states = append(states, u.Record.State)
			case u.Stream == schemas.LiveStdout:
				if u.Chunk.Offset != from+int64(len(stdout)) {
					w.Errorf("chunk at %d, want %d", u.Chunk.Offset, from+int64(len(stdout)))
				}
				stdout += string(u.Chunk.Data)
			}
		}
	}
}

func (w *world) follow(g *gateway, rec schemas.Record, from coordinator.Offsets) <-chan coordinator.Update {
	w.Helper()
	updates, err := g.Follow(w.Context(), rec.Tenant, rec.ID, from)
	if err != nil {
		w.Fatal(err)
	}
	return updates
}

func TestFollow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	begun, goOn := make(chan struct{}), make(chan struct{})
	w.executor("e1", 1, func(e *fakeExecutor) {
		e.work = func(ctx context.Context, a attempt) (schemas.EventKind, schemas.Event) {
			e.write(a, "before anybody listens\n", true)
			close(begun)
			<-goOn
			for i := range 50 {
				e.write(a, fmt.Sprintf("line %d\n", i), i%3 != 0) // every third is lost on its way
			}
			return e.succeed(ctx, a)
		}
	})
	rec := w.submit(g, spec())
	early := w.follow(g, rec, coordinator.Offsets{})
	<-begun
	late := w.follow(g, rec, coordinator.Offsets{})
	partial := w.follow(g, rec, coordinator.Offsets{Attempt: 1, Stdout: 7})
	close(goOn)
	want := "before anybody listens\n"
	for i := range 50 {
		want += fmt.Sprintf("line %d\n", i)
	}
	for name, updates := range map[string]<-chan coordinator.Update{"early": early, "late": late} {
		got, states := w.collect(updates, 0)
		if got != want || states[len(states)-1] != schemas.StateSucceeded {
			t.Errorf("%s follower got %d bytes, want %d; states %v", name, len(got), len(want), states)
		}
	}
	if got, _ := w.collect(partial, 7); got != want[7:] {
		t.Errorf("from offset 7, got %d bytes, want %d", len(got), len(want)-7)
	}
	w.wait(g, rec, schemas.StateSucceeded)
	if got, _ := w.collect(w.follow(g, rec, coordinator.Offsets{}), 0); got != want {
		t.Errorf("after the end, got %d bytes, want %d", len(got), len(want))
	}
}

// TestSlowFollower: it gets everything, and the job does not wait for it.
func TestSlowFollower(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	line := strings.Repeat("x", 1000) + "\n"
	const lines = 3000
	e := w.idle("e1", nil)
	rec := w.submit(g, spec())
	a := w.granted(e, rec)
	updates := w.follow(g, rec, coordinator.Offsets{})
	for range lines {
		e.write(a, line, true)
	}
	w.finish(e, a)
	w.wait(g, rec, schemas.StateSucceeded) // nobody has read yet
	e.mu.Lock()
	e.logs = nil // the executor forgets
	e.mu.Unlock()
	if got, _ := w.collect(updates, 0); len(got) != lines*len(line) {
		t.Errorf("got %d bytes, want %d", len(got), lines*len(line))
	}
}

func TestFollowEndsWithTheCoordinator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(nil)
	updates := w.follow(g, w.submit(g, spec()), coordinator.Offsets{})
	go g.stop()
	w.collect(updates, 0)
}
