package jobqueue

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// busyWatcher sends what nobody takes.
type busyWatcher struct {
	jetstream.KeyWatcher
	updates chan jetstream.KeyValueEntry
	stopped bool
}

func (w *busyWatcher) Updates() <-chan jetstream.KeyValueEntry { return w.updates }
func (w *busyWatcher) Stop() error                             { w.stopped = true; return nil }

// TestStopWatcher: a watcher that was stopped in the middle does not wait for ever
// for somebody to take what it has.
func TestStopWatcher(t *testing.T) {
	t.Parallel()
	w := &busyWatcher{updates: make(chan jetstream.KeyValueEntry)}
	sent := make(chan struct{})
	go func() {
		w.updates <- nil
		close(w.updates)
		close(sent)
	}()
	stopWatcher(w)
	select {
	case <-sent:
	case <-time.After(time.Minute):
		t.Error("it still waits")
	}
	if !w.stopped {
		t.Error("it was not stopped")
	}
}
