package executor_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestCancelAtEveryStep: whatever an attempt does when its job is cancelled, the
// job is, and nothing of the attempt is left.
func TestCancelAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		step string
		// hold keeps the attempt in the step until cancelled is closed, and closes reached first.
		hold func(w *world, s *stub, reached func(), cancelled <-chan struct{})
	}{
		{"staging its input", func(w *world, _ *stub, reached func(), cancelled <-chan struct{}) {
			w.setDeny(holdRequests(http.MethodGet, reached, cancelled))
		}},
		{"running", func(_ *world, s *stub, reached func(), _ <-chan struct{}) {
			b := newBlocks()
			s.run = b.run
			go func() { <-b.begun; reached() }()
		}},
		{"storing what it wrote", func(w *world, s *stub, reached func(), cancelled <-chan struct{}) {
			s.run = verbose
			w.setDeny(holdRequests(http.MethodPut, reached, cancelled))
		}},
	} {
		t.Run(test.step, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "one")
			reached, cancelled := make(chan struct{}), make(chan struct{})
			s := &stub{}
			test.hold(w, s, onceClose(reached), cancelled)
			e := w.executor("one", s, nil)
			job := spec()
			job.Files = map[string]schemas.File{"in.txt": w.blob(make([]byte, 256<<10))}
			rec := w.submit(job)
			select {
			case <-reached:
			case <-w.Context().Done():
			}
			if got, err := w.Cancel(context.Background(), rec.Tenant, rec.ID); err != nil || got.State.Terminal() && got.State != schemas.StateCancelled {
				t.Fatalf("Cancel = %s, %v", got.State, err)
			}
			close(cancelled)
			if rec = w.wait(rec, schemas.StateCancelled); rec.Outcome != nil || len(rec.Attempts) != 1 {
				t.Errorf("record %+v", rec)
			}
			w.eventually("nothing of it is left", func() bool {
				_, err := w.store.Stat(t.Context(), schemas.AttemptKey(rec.Tenant, rec.ID, 1, schemas.ObjectStdout))
				return err != nil && s.open() == 0 && len(e.leftovers(t)) == 0
			})
		})
	}
}

func onceClose(c chan struct{}) func() {
	once := make(chan struct{}, 1)
	return func() {
		select {
		case once <- struct{}{}:
			close(c)
		default:
		}
	}
}

// holdRequests keeps requests of a method until the client has left, or goOn is closed.
func holdRequests(method string, reached func(), goOn <-chan struct{}) func(*http.Request) int {
	return func(r *http.Request) int {
		if r.Method == method {
			reached()
			select {
			case <-goOn:
			case <-r.Context().Done():
			}
		}
		return 0
	}
}
