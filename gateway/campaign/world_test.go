package campaign_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/campaign"
	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/gateway/webhook"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/schemas"
)

const tenant = "local"

// world is a real NATS server, and gateways of a real coordinator, real campaigns and a real outbox.
type world struct {
	testing.TB
	server *queuetest.Server
	store  *dir.Store
	log    *slog.Logger
}

func newWorld(t testing.TB) *world {
	t.Helper()
	store, err := dir.Open(dir.Config{Path: t.TempDir(), BaseURL: func() string { return "http://127.0.0.1:1/" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return &world{TB: t, server: queuetest.Start(t), store: store, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

// gateway is all of one that campaigns need.
type gateway struct {
	*campaign.Campaigns
	jobs *coordinator.Coordinator
	stop func()
}

// gateway starts one, which stops with the test or before. Without an outbox it ends campaigns and tells nobody.
func (w *world) gateway(outbox bool, change func(*campaign.Config)) *gateway {
	w.Helper()
	g := &gateway{}
	queue := w.server.Gateway(w, w.log)
	hooks, err := webhook.New(webhook.Config{Queue: queue, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: w.log})
	if err != nil {
		w.Fatal(err)
	}
	g.jobs, err = coordinator.New(coordinator.Config{
		Queue: queue, Store: w.store, Log: w.log,
		OnEnded: func(rec schemas.Record, rev uint64, _ bool) { g.JobEnded(rec, rev) },
	})
	if err != nil {
		w.Fatal(err)
	}
	cfg := campaign.Config{Queue: queue, Jobs: g.jobs, Log: w.log, Look: time.Hour} // what should tell, must
	runs := []func(context.Context) error{g.jobs.Run}
	if outbox {
		cfg.OnEnded = hooks.CampaignEnded
		runs = append(runs, hooks.Run)
	}
	if change != nil {
		change(&cfg)
	}
	if g.Campaigns, err = campaign.New(cfg); err != nil {
		w.Fatal(err)
	}
	w.run(g, append(runs, g.Run)...)
	<-g.Known()
	w.eventually("the gateway is ready", func() bool { return g.jobs.Ready() == nil })
	return g
}

func (w *world) run(g *gateway, runs ...func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range runs {
		running.Go(func() {
			if err := run(ctx); err != nil {
				w.Errorf("Run: %v", err)
			}
		})
	}
	g.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.Cleanup(g.stop)
}

// eventually waits for what nothing tells of.
func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(3 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("never: %s", what)
		}
	}
}

func (w *world) create(g *gateway, name string, s schemas.CampaignSpec) schemas.Campaign {
	w.Helper()
	c, created, err := g.Create(w.Context(), tenant, name, s)
	if err != nil || !created || c.State != schemas.CampaignOpen {
		w.Fatalf("Create = %+v, %v, %v", c, created, err)
	}
	return c
}

func (w *world) close(g *gateway, name string) schemas.Campaign {
	w.Helper()
	c, err := g.Close(w.Context(), tenant, name)
	if err != nil || c.ClosedUS == 0 {
		w.Fatalf("Close = %+v, %v", c, err)
	}
	return c
}

func (w *world) get(g *gateway, name string) schemas.Campaign {
	w.Helper()
	c, err := g.Get(w.Context(), tenant, name)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// ended waits for a campaign's end.
func (w *world) ended(g *gateway, name string) schemas.Campaign {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	c, err := g.Wait(ctx, tenant, name)
	if err != nil || c.State != schemas.CampaignEnded {
		w.Fatalf("Wait = %+v, %v", c, err)
	}
	return c
}

// submit makes a job of a campaign, past the check that it is open.
func (w *world) submit(g *gateway, of, name string) schemas.Record {
	w.Helper()
	spec := schemas.JobSpec{Image: "busybox", Args: []string{"true"}, Labels: map[string]string{schemas.LabelCampaign: name}}
	spec.Requires.Arch = "amd64"
	rec, created, err := g.jobs.Submit(w.Context(), coordinator.Submission{
		Tenant: of, Spec: spec.WithDefaults(), Image: schemas.ImageRef{Reference: "docker.io/library/busybox", Digest: schemas.Digest(make([]byte, 32))},
	})
	if err != nil || !created {
		w.Fatalf("Submit = %v, %v", created, err)
	}
	return rec
}

// end ends a queued job: nobody is there to run it.
func (w *world) end(g *gateway, rec schemas.Record) {
	w.Helper()
	if _, err := g.jobs.Cancel(w.Context(), rec.Tenant, rec.ID); err != nil {
		w.Fatal(err)
	}
}

// rewrite changes a job's record as another gateway might.
func (w *world) rewrite(job schemas.Record, change func(*schemas.Record)) {
	w.Helper()
	bucket := w.server.Gateway(w, nil).Jobs
	key := schemas.RecordKey(job.Tenant, job.ID)
	e, err := bucket.Get(w.Context(), key)
	if err == nil {
		err = json.Unmarshal(e.Value, &job)
	}
	if err != nil {
		w.Fatal(err)
	}
	change(&job)
	data, err := json.Marshal(job)
	if err == nil {
		_, err = bucket.Update(w.Context(), key, data, e.Revision)
	}
	if err != nil {
		w.Fatal(err)
	}
}

// receiver is an address that counts what it is told by the event's id.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex
	told map[string]int
	last []byte
}

func (w *world) receiver() *receiver {
	r := &receiver{told: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			w.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told[req.Header.Get("webhook-id")]++
		r.last = body
	}))
	w.Cleanup(r.Close)
	return r
}

func (r *receiver) callback() schemas.CampaignSpec {
	return schemas.CampaignSpec{Callback: &schemas.Callback{URL: r.URL}}
}

// events is how many different ones came.
func (r *receiver) events() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.told)
}
