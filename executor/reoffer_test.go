package executor_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// learning is a runner that finds out later what its machines have.
type learning struct {
	*stub
	mu       sync.Mutex
	features []string
}

func (l *learning) Offering() schemas.Offering {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.stub.Offering()
	o.Features = l.features
	return o
}

// What an executor learns of its machines after it has registered, gateways hear.
func TestReoffer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	runner := &learning{stub: &stub{}}
	e := w.executor("e1", runner, nil)
	<-e.Registered()
	features := func() []string {
		for _, known := range w.Executors() {
			for _, o := range known.Offers {
				return o.Features
			}
		}
		return nil
	}
	if err := e.Reoffer(context.Background()); err != nil || len(features()) > 0 {
		t.Fatalf("no news: %v, %v", features(), err)
	}
	runner.mu.Lock()
	runner.features = []string{"sve"}
	runner.mu.Unlock()
	if err := e.Reoffer(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.eventually("the gateway knows", func() bool { return slices.Contains(features(), "sve") })
}
