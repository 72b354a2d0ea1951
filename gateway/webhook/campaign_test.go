package webhook

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// endedCampaign is one that ends now.
func (w *world) endedCampaign(name, callback string) schemas.Campaign {
	w.Helper()
	now := w.clock.Now().UnixMicro()
	c := schemas.Campaign{Name: name, CreatedUS: now - 2, ClosedUS: now - 1, EndedUS: now, Jobs: map[schemas.State]int{schemas.StateSucceeded: 3, schemas.StateDead: 1}}
	if callback != "" {
		c.Callback = &schemas.Callback{URL: callback}
	}
	c.Advance()
	return c
}

// ofCampaign is a campaign's delivery as the bucket has it.
func (w *world) ofCampaign(b *box, c schemas.Campaign, target string) schemas.Delivery {
	w.Helper()
	d, _, err := b.read(w.Context(), schemas.RecordKey(tenant, notice{campaignEnding(tenant, &c), target}.id()))
	if err != nil {
		return schemas.Delivery{}
	}
	return d.Delivery
}

// TestCampaignIsTold: to its callback, and to webhooks that asked for it and whose labels fit.
func TestCampaignIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, hooked := w.receiver(nil), w.receiver(nil)
	b := w.box(nil)
	ended := []string{schemas.EventCampaignEnded}
	hook := w.hook(b, schemas.WebhookSpec{URL: hooked.URL, Events: ended, Labels: map[string]string{schemas.LabelCampaign: "a"}})
	w.hook(b, schemas.WebhookSpec{URL: hooked.URL, Events: ended, Labels: map[string]string{schemas.LabelCampaign: "b"}})
	w.hook(b, schemas.WebhookSpec{URL: hooked.URL}) // ends of jobs alone
	c := w.endedCampaign("a", r.URL)
	b.CampaignEnded(tenant, c, true)
	b.CampaignEnded(tenant, c, false)
	w.eventually("both are told", func() bool {
		return w.ofCampaign(b, c, "").State == schemas.DeliveryDelivered && w.ofCampaign(b, c, hook.ID).State == schemas.DeliveryDelivered
	})
	w.clock.advance(otherGateway + time.Second)
	job := w.ended(schemas.StateSucceeded, func(rec *schemas.Record) { rec.Callback = r.URL })
	b.Ended(job, true)
	w.settled(b, job, "", 1) // what was heard twice was looked at before
	w.allAsked(hooked, 2)
	got := r.requests()
	if len(got) != 2 || len(hooked.requests()) != 2 { // of which the last is the job's
		t.Fatalf("%d and %d requests", len(got), len(hooked.requests()))
	}
	secret, err := b.CallbackSecret(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	w.verify(got[0], secret.Secret)
	w.verify(hooked.requests()[0], hook.Secret)
	event := got[0].event
	if event.Type != "campaign.ended" || event.Data.ID != "a" || event.Data.State != "" || !maps.Equal(event.Data.Jobs, c.Jobs) || event.Data.Labels[schemas.LabelCampaign] != "a" {
		t.Errorf("payload: %s", got[0].body)
	}
	if l := event.Data.Links; l.Campaign != "https://pe.example.org/v1/campaigns/a" || l.Jobs != "https://pe.example.org/v1/jobs?label=campaign%3Da" || l.Job != "" {
		t.Errorf("links: %s", got[0].body)
	}
	if d := w.ofCampaign(b, c, ""); d.Campaign != "a" || d.Job != "" || d.Event != schemas.EventCampaignEnded || d.ID != got[0].id() {
		t.Errorf("delivery: %+v", d)
	}
}

// TestCampaignOfTwoGateways: however many hear of the end, it has one id; a later end of
// the same campaign is another event.
func TestCampaignOfTwoGateways(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(nil)
	one, two := w.box(nil), w.box(nil)
	c := w.endedCampaign("a", r.URL)
	one.CampaignEnded(tenant, c, true)
	two.CampaignEnded(tenant, c, true)
	w.eventually("it is told", func() bool { return w.ofCampaign(one, c, "").State == schemas.DeliveryDelivered })
	w.clock.advance(time.Minute)
	again := w.endedCampaign("a", r.URL)
	two.CampaignEnded(tenant, again, true)
	w.eventually("it is told again", func() bool { return w.ofCampaign(one, again, "").State == schemas.DeliveryDelivered })
	if got := r.requests(); len(got) != 2 || got[0].id() == got[1].id() {
		t.Errorf("%d requests", len(got))
	}
}

// TestCampaignsAreBounded: while a receiver of callbacks takes nothing, campaigns end, more
// than are remembered, and half of them are removed. Those that are left are told, and
// of a removed one nothing is kept.
func TestCampaignsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	block := make(chan struct{})
	slow, quick := w.receiver(waitFor(block)), w.receiver(nil)
	var mu sync.Mutex
	var left []schemas.Campaign
	b := w.box(func(c *Config) {
		c.MaxPending, c.MaxBacklog = 64, 16
		c.Campaigns = func(string) ([]schemas.Campaign, error) {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(left), nil
		}
	})
	const campaigns = 60
	for i := range campaigns {
		c := w.endedCampaign(fmt.Sprintf("c%d", i), slow.URL)
		if i >= campaigns/2 {
			mu.Lock()
			left = append(left, c)
			mu.Unlock()
		}
		b.CampaignEnded(tenant, c, true)
	}
	w.eventually("it is full", func() bool { n, _ := b.book.onTheirWay(); _, behind := b.backlog.size(); return n >= 1 && behind == 1 })
	if notices, _ := b.backlog.size(); notices > 8 {
		t.Errorf("%d notices are held", notices)
	}
	other := w.endedCampaign("other", quick.URL)
	b.CampaignEnded(tenant, other, true)
	w.eventually("another host is told", func() bool { return w.ofCampaign(b, other, "").State == schemas.DeliveryDelivered })
	close(block)
	for _, c := range left {
		w.inTime("it is told", func() bool { return w.ofCampaign(b, c, "").State == schemas.DeliveryDelivered })
	}
	w.inTime("nothing is left", func() bool { n, _ := b.book.onTheirWay(); return n == 0 && b.idle() })
	if n := len(slow.requests()); n >= campaigns {
		t.Errorf("%d requests", n)
	}
}
