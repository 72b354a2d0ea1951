package gateway

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/gateway/webhook"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/schemas"
)

// teller is a coordinator and the outbox that tells of its jobs' ends.
type teller struct {
	jobs   *coordinator.Coordinator
	outbox *webhook.Outbox
	stop   func()
}

// tells starts one that remembers few ends, and lets few deliveries be pending.
func tells(t *testing.T, queue *jobqueue.Queue, store objstore.Store, now func() time.Time) (l *teller) {
	t.Helper()
	l = &teller{}
	var err error
	l.outbox, err = webhook.New(webhook.Config{
		Queue: queue, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, MaxPending: 2048, MaxBacklog: 256, Grace: time.Millisecond,
		Past: func(ctx context.Context, tenant string, after uint64, ended time.Time, each func(*schemas.Record, uint64) bool) (uint64, error) {
			return l.jobs.Past(ctx, tenant, after, ended, each)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.jobs, err = coordinator.New(coordinator.Config{Queue: queue, Store: store, OnEnded: l.outbox.Ended, Now: now}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{l.outbox.Run, l.jobs.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	l.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(l.stop)
	<-l.outbox.Known()
	soon(t, "the coordinator is ready", func() bool { return l.jobs.Ready() == nil })
	return l
}

// soon waits for what nothing tells of.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// gate is an address that answers nobody until it is opened.
type gate struct {
	*httptest.Server
	open func()
	mu   sync.Mutex
	told map[string]map[string]bool // job → deliveries
}

func newGate(t *testing.T) *gate {
	opened := make(chan struct{})
	g := &gate{told: map[string]map[string]bool{}, open: sync.OnceFunc(func() { close(opened) })}
	g.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var event schemas.WebhookEvent
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
			t.Error(err)
		}
		select {
		case <-opened:
		case <-r.Context().Done():
			return
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.told[event.Data.ID] == nil {
			g.told[event.Data.ID] = map[string]bool{}
		}
		g.told[event.Data.ID][r.Header.Get("webhook-id")] = true
	}))
	t.Cleanup(g.Close)
	t.Cleanup(g.open)
	return g
}

func (g *gate) jobs() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.told)
}

// TestEndsInHistoryAreTold: while a receiver does not answer, more jobs end than are
// remembered, and most of their records leave the bucket. Each end is told, in one
// delivery, by the gateway that was there and by one that starts later.
func TestEndsInHistoryAreTold(t *testing.T) {
	for name, restarted := range map[string]bool{"by the same": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, err := dir.Open(dir.Config{Path: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.Close() })
			var ahead atomic.Int64
			now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			queue, receiver := queuetest.Start(t).Gateway(t, slog.New(slog.DiscardHandler)), newGate(t)
			l := tells(t, queue, store, now)
			if _, err := l.outbox.Create(t.Context(), schemas.SingleTenant, schemas.WebhookSpec{URL: receiver.URL}); err != nil {
				t.Fatal(err)
			}
			const jobs, left = schemas.MaxHistoryJobs + 44, 44
			endMany(t, l.jobs, jobs)
			ahead.Store(int64(time.Minute))
			soon(t, "most have left the bucket", func() bool {
				n := 0
				err := queue.Jobs.Keys(t.Context(), func(jobqueue.Entry) { n++ })
				return err == nil && n == left
			})
			if restarted {
				l.stop()
				tells(t, queue, store, now)
			}
			receiver.open()
			soon(t, "all ends are told", func() bool { return receiver.jobs() == jobs })
			receiver.mu.Lock()
			defer receiver.mu.Unlock()
			for job, deliveries := range receiver.told {
				if len(deliveries) != 1 {
					t.Errorf("the end of %s was told by %d deliveries", job, len(deliveries))
				}
			}
		})
	}
}

// endMany submits jobs and cancels them: the cheapest way in which many can end.
func endMany(t *testing.T, jobs *coordinator.Coordinator, n int) {
	t.Helper()
	spec := schemas.JobSpec{Image: "busybox", Args: []string{"true"}}
	spec.Requires.Arch = "amd64"
	var all []coordinator.Submission
	for range n {
		all = append(all, coordinator.Submission{
			Tenant: schemas.SingleTenant, Spec: spec.WithDefaults(), Image: schemas.ImageRef{Reference: "docker.io/library/busybox", Digest: digest},
		})
	}
	created, err := jobs.SubmitBatch(t.Context(), all, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range created {
		if rec, err := jobs.Cancel(t.Context(), c.Record.Tenant, c.Record.ID); err != nil || !rec.State.Terminal() {
			t.Fatalf("%s, %v", rec.State, err)
		}
	}
}
