package campaign_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/gateway/campaign"
	"github.com/program-explorer/pe/schemas"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.gateway(false, nil), w.gateway(false, nil)
	s := schemas.CampaignSpec{Description: "tests", Callback: &schemas.Callback{URL: "https://example.org/"}}
	made := w.create(one, "a", s)
	same := s
	same.Callback = &schemas.Callback{URL: s.Callback.URL}
	if c, created, err := two.Create(t.Context(), tenant, "a", same); err != nil || created || c.CreatedUS != made.CreatedUS {
		t.Errorf("the same again: %+v, %v, %v", c, created, err)
	}
	for _, other := range []schemas.CampaignSpec{{}, {Description: "tests"}, {Description: "Tests", Callback: s.Callback}} {
		if _, _, err := two.Create(t.Context(), tenant, "a", other); !errors.Is(err, campaign.ErrDiffers) {
			t.Errorf("%+v: %v", other, err)
		}
	}
	w.create(two, "A", schemas.CampaignSpec{})
	w.eventually("the list has both", func() bool { list, err := one.List(tenant); return err == nil && len(list) == 2 })
	if err := one.Remove(t.Context(), tenant, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Get(t.Context(), tenant, "a"); !errors.Is(err, campaign.ErrNotFound) {
		t.Errorf("removed: %v", err)
	}
	if err := one.Remove(t.Context(), tenant, "a"); !errors.Is(err, campaign.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	w.create(two, "a", schemas.CampaignSpec{})
}

// TestTenantsAreApart: each has its own of the same name.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(false, nil)
	w.create(g, "a", schemas.CampaignSpec{})
	if _, err := g.Get(t.Context(), "other", "a"); !errors.Is(err, campaign.ErrNotFound) {
		t.Errorf("another tenant reads it: %v", err)
	}
	if _, err := g.Close(t.Context(), "other", "a"); !errors.Is(err, campaign.ErrNotFound) {
		t.Errorf("another tenant closes it: %v", err)
	}
	if _, created, err := g.Create(t.Context(), "other", "a", schemas.CampaignSpec{Description: "mine"}); err != nil || !created {
		t.Errorf("another tenant makes one: %v, %v", created, err)
	}
	theirs := w.submit(g, "other", "a")
	w.close(g, "a")
	if c := w.ended(g, "a"); len(c.Jobs) != 0 {
		t.Errorf("it has another tenant's jobs: %+v", c)
	}
	if c, err := g.Get(t.Context(), "other", "a"); err != nil || c.State != schemas.CampaignOpen || c.Unfinished != 1 {
		t.Errorf("the other tenant's: %+v, %v", c, err)
	}
	w.end(g, theirs)
	labels := map[string]string{schemas.LabelCampaign: "a"}
	if err := g.Admit(tenant, labels); !errors.Is(err, campaign.ErrClosed) {
		t.Errorf("a job of a closed campaign: %v", err)
	}
	for _, err := range []error{g.Admit("other", labels), g.Admit(tenant, nil), g.Admit(tenant, map[string]string{schemas.LabelCampaign: "b/c"})} {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
	}
}

// TestBoundOfMany: of requests at the same time just as many are let in.
func TestBoundOfMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(false, nil)
	const room, asked = 5, 40
	for i := range schemas.MaxCampaigns - room {
		w.create(g, fmt.Sprint("c", i), schemas.CampaignSpec{})
	}
	var made, refused atomic.Int32
	var group sync.WaitGroup
	for i := range asked {
		group.Go(func() {
			_, created, err := g.Create(t.Context(), tenant, fmt.Sprint("more", i/2), schemas.CampaignSpec{}) // each twice
			switch {
			case errors.Is(err, campaign.ErrTooMany):
				refused.Add(1)
			case err != nil:
				t.Error(err)
			case created:
				made.Add(1)
			}
		})
	}
	group.Wait()
	if list, err := g.List(tenant); err != nil || len(list) > schemas.MaxCampaigns || int(made.Load()) != room || refused.Load() == 0 {
		t.Errorf("%d campaigns, %d made, %d refused, %v", len(list), made.Load(), refused.Load(), err)
	}
}

// TestBound: a tenant has so many, and another one its own.
func TestBound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(false, nil)
	for i := range schemas.MaxCampaigns {
		w.create(g, fmt.Sprint("c", i), schemas.CampaignSpec{})
	}
	if _, _, err := g.Create(t.Context(), tenant, "more", schemas.CampaignSpec{}); !errors.Is(err, campaign.ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
	if _, created, err := g.Create(t.Context(), tenant, "c0", schemas.CampaignSpec{}); err != nil || created {
		t.Errorf("one that is there: %v, %v", created, err)
	}
	if _, _, err := g.Create(t.Context(), "other", "more", schemas.CampaignSpec{}); err != nil {
		t.Errorf("another tenant's: %v", err)
	}
	if err := g.Remove(t.Context(), tenant, "c0"); err != nil {
		t.Fatal(err)
	}
	w.create(g, "more", schemas.CampaignSpec{})
}

func gauge(t *testing.T, from prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// TestExpire: what has ended goes when its time has come, and nothing else does.
func TestExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	metrics := prometheus.NewRegistry()
	g := w.gateway(false, func(c *campaign.Config) {
		c.Keep, c.Now, c.Metrics = time.Hour, func() time.Time { return now }, metrics
	})
	for _, name := range []string{"open", "closed", "ended"} {
		w.create(g, name, schemas.CampaignSpec{})
	}
	w.submit(g, tenant, "closed")
	w.close(g, "closed")
	w.close(g, "ended")
	w.ended(g, "ended")
	for name, want := range map[string]float64{"pe_campaign_open": 1, "pe_campaign_closed": 1} {
		if n := gauge(t, metrics, name); n != want {
			t.Errorf("%s is %v", name, n)
		}
	}
	later := w.gateway(false, func(c *campaign.Config) {
		c.Keep, c.Now = time.Hour, func() time.Time { return now.Add(time.Hour + time.Second) }
	})
	if n, err := g.Expire(t.Context()); n != 0 || err != nil {
		t.Errorf("before its time: %d, %v", n, err)
	}
	if n, err := later.Expire(t.Context()); n != 1 || err != nil {
		t.Errorf("expired: %d, %v", n, err)
	}
	if _, err := g.Get(t.Context(), tenant, "ended"); !errors.Is(err, campaign.ErrNotFound) {
		t.Errorf("expired: %v", err)
	}
	w.eventually("the other gateway knows", func() bool { list, err := g.List(tenant); return err == nil && len(list) == 2 })
}

// TestWait ends with the campaign, with the time, or with its removal.
func TestWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g, other := w.gateway(false, nil), w.gateway(false, nil)
	if _, err := g.Wait(t.Context(), tenant, "a"); !errors.Is(err, campaign.ErrNotFound) {
		t.Errorf("of none: %v", err)
	}
	w.create(g, "a", schemas.CampaignSpec{})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := g.Wait(over, tenant, "a"); err == nil && c.State != schemas.CampaignOpen {
		t.Errorf("without patience: %+v, %v", c, err)
	}
	waited := make(chan error, 1)
	patient, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() { _, err := other.Wait(patient, tenant, "a"); waited <- err }()
	w.close(g, "a")
	if err := <-waited; err != nil || patient.Err() != nil {
		t.Errorf("closed meanwhile: %v, %v", err, patient.Err())
	}
	w.create(g, "b", schemas.CampaignSpec{})
	go func() { _, err := other.Wait(patient, tenant, "b"); waited <- err }()
	w.eventually("the other gateway knows", func() bool { list, err := other.List(tenant); return err == nil && len(list) == 2 })
	if err := g.Remove(t.Context(), tenant, "b"); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; !errors.Is(err, campaign.ErrNotFound) {
		t.Errorf("removed meanwhile: %v", err)
	}
}

// TestRemovalThatNobodyTellsOf: a campaign that was removed while a gateway was cut off, for so
// long that no marker is left, refuses no jobs there.
func TestRemovalThatNobodyTellsOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(false, func(c *campaign.Config) { c.Audit = 20 * time.Millisecond })
	bucket := w.server.Gateway(t, nil).Campaigns
	for _, name := range []string{"gone", "stays"} {
		w.create(g, name, schemas.CampaignSpec{})
		w.close(g, name)
		w.ended(g, name)
	}
	key := schemas.CampaignKey(tenant, "gone")
	e, err := bucket.Get(t.Context(), key)
	if err == nil {
		err = bucket.Free(t.Context(), key, e.Revision)
	}
	if err != nil {
		t.Fatal(err)
	}
	admit := func(name string) error { return g.Admit(tenant, map[string]string{schemas.LabelCampaign: name}) }
	w.eventually("its jobs are taken", func() bool { return admit("gone") == nil })
	if list, err := g.List(tenant); err != nil || len(list) != 1 || !errors.Is(admit("stays"), campaign.ErrClosed) {
		t.Errorf("left: %+v, %v", list, err)
	}
	w.create(g, "gone", schemas.CampaignSpec{})
}
