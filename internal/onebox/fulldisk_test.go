package onebox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"
)

// TestFullDiskIsMended: a server whose disk was full takes messages again once
// there is room, and has all that it had acknowledged.
func TestFullDiskIsMended(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, 64<<20)
	e, err := startNATS(dir, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { e.stop() }()
	ctx, cancel := context.WithCancel(t.Context())
	var mending sync.WaitGroup
	mending.Go(func() {
		if err := e.mend(ctx); err != nil {
			t.Error(err)
		}
	})
	defer mending.Wait()
	defer cancel()

	js := stream(t, e)
	ballast := filepath.Join(dir, "ballast") // somebody else's
	if err := os.WriteFile(ballast, make([]byte, 56<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.hasRoom(ctx); err == nil || !strings.Contains(err.Error(), "the queue is full") {
		t.Errorf("with little room the queue says %v", err)
	}
	acknowledged := 0
	for { // until the disk is full
		if _, err := js.Publish(ctx, "s.x", make([]byte, 512<<10), jetstream.WithRetryAttempts(0)); err != nil {
			break
		}
		acknowledged++
	}
	if acknowledged == 0 {
		t.Fatal("nothing could be written at all")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		_, err := js.Publish(ctx, "s.x", []byte("room again"))
		if err = errors.Join(err, e.hasRoom(ctx)); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("a minute after there was room: %v", err)
		}
	}
	s, err := js.Stream(ctx, "S")
	if err != nil {
		t.Fatal(err)
	}
	if got := int(s.CachedInfo().State.Msgs); got < acknowledged+1 {
		t.Errorf("%d messages are there, %d were acknowledged", got, acknowledged+1)
	}
}

// smallDisk is a filesystem of so many bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a small disk wants root: run the test with sudo")
	}
	dir := t.TempDir()
	if err := unix.Mount("small", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// stream is one on the embedded server, whose connection survives its restarts.
func stream(t *testing.T, e *embedded) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(e), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Storage: jetstream.FileStorage}); err != nil {
		t.Fatal(err)
	}
	return js
}
