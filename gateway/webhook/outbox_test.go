package webhook

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// TestDelivered: what a receiver gets, of whom it is told and of whom not.
func TestDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(nil)
	b := w.box(nil)
	before := w.ended(schemas.StateFailed, nil)
	w.clock.advance(time.Second)
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL + "/hook?x=1", Events: []string{schemas.EventJobFailed}, Labels: map[string]string{"campaign": "a"}})
	in := func(r *schemas.Record) { r.Labels = map[string]string{"campaign": "a", "other": "<&>"} }
	told := w.ended(schemas.StateFailed, in)
	for _, rec := range []schemas.Record{
		before, w.ended(schemas.StateSucceeded, in), w.ended(schemas.StateFailed, nil), told,
		w.ended(schemas.StateFailed, func(r *schemas.Record) { in(r); r.Tenant = "other" }),
	} {
		b.Ended(rec, true)
		b.Ended(rec, false)
	}
	d := w.settled(b, told, hook.ID, 1)
	if d.State != schemas.DeliveryDelivered || d.Last.Status != 200 || d.NextUS != 0 || d.Webhook != hook.ID || d.Job != told.ID {
		t.Errorf("delivery: %+v", d)
	}
	w.clock.advance(time.Minute) // what is heard of again is looked at
	w.eventually("everything is looked at", func() bool { return len(b.recent.due(w.clock.Now())) == 0 && b.idle() })
	got := r.requests()
	if len(got) != 1 {
		t.Fatalf("%d requests", len(got))
	}
	one := got[0]
	w.verify(one, hook.Secret)
	if one.id() != d.ID || one.path != "/hook?x=1" || one.header.Get("Content-Type") != "application/json" || !strings.HasPrefix(one.header.Get("User-Agent"), "ProgramExplorer") {
		t.Errorf("request: %+v", one)
	}
	data := one.event.Data
	if one.event.Type != "job.failed" || data.ID != told.ID || data.State != schemas.StateFailed || *data.ExitCode != 3 || data.Labels["other"] != "<&>" ||
		data.Links.Job != "https://pe.example.org/v1/jobs/"+told.ID || data.Links.Outputs != data.Links.Job+"/outputs" {
		t.Errorf("payload: %s", one.body)
	}
	if at, err := time.Parse(time.RFC3339, one.event.Timestamp); err != nil || at.UnixMicro() != told.EndedUS {
		t.Errorf("timestamp: %s", one.event.Timestamp)
	}
}

func TestCallback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(nil)
	b := w.box(nil)
	rec := w.ended(schemas.StateDead, func(rec *schemas.Record) { rec.Callback = r.URL; rec.Outcome, rec.Archive = nil, nil })
	b.Ended(rec, true)
	if d := w.settled(b, rec, "", 1); d.State != schemas.DeliveryDelivered || d.URL != r.URL || d.Webhook != "" {
		t.Errorf("delivery: %+v", d)
	}
	secret, err := b.CallbackSecret(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	one := r.requests()[0]
	w.verify(one, secret.Secret)
	if one.event.Type != "job.dead" || one.event.Data.ExitCode != nil || one.event.Data.Links.Outputs != "" {
		t.Errorf("payload: %s", one.body)
	}
	// Brought back from the dead, it ends again: another event.
	w.clock.advance(time.Minute)
	again := rec
	again.State, again.EndedUS = schemas.StateSucceeded, w.clock.Now().UnixMicro()
	b.Ended(again, true)
	w.settled(b, again, "", 1)
	if got := r.requests(); len(got) != 2 || got[1].id() == got[0].id() {
		t.Errorf("%d requests", len(got))
	}
}

// TestSchedule: every failure is sent again as the specification's example has
// it, under the same id, until there is none left; then a person may replay it.
func TestSchedule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(status(http.StatusInternalServerError))
	b := w.box(nil)
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	rec := w.ended(schemas.StateSucceeded, nil)
	b.Ended(rec, true)
	var d schemas.Delivery
	for n, pause := range Schedule()[1:] {
		d = w.settled(b, rec, hook.ID, n+1)
		got := time.UnixMicro(d.NextUS).Sub(time.UnixMicro(d.Last.AtUS))
		if slack := pause/10 + 2*time.Second; d.State != schemas.DeliveryPending || got < pause-slack || got > pause+slack {
			t.Fatalf("after attempt %d: %s, next in %s, want %s", n+1, d.State, got, pause)
		}
		w.clock.to(d.NextUS)
	}
	d = w.settled(b, rec, hook.ID, 10)
	if d.State != schemas.DeliveryFailed || d.Attempts != 10 || d.Reason != "given up after 10 attempts" || d.Last.Status != 500 {
		t.Errorf("at the end: %+v", d)
	}
	for _, one := range r.requests() {
		if one.id() != d.ID {
			t.Errorf("id %s, then %s", d.ID, one.id())
		}
		w.verify(one, hook.Secret)
	}
	r.answers(nil)
	if _, err := b.Replay(t.Context(), tenant, d.ID); err != nil {
		t.Fatal(err)
	}
	d = w.settled(b, rec, hook.ID, 1)
	if d.State != schemas.DeliveryDelivered || d.Attempts != 1 || len(r.requests()) != 11 || r.requests()[10].id() != d.ID {
		t.Errorf("replayed: %+v, %d requests", d, len(r.requests()))
	}
	w.eventually("the webhook is well again", func() bool { now := b.List(tenant)[0]; return now.FailingUS == 0 && now.Enabled })
}

// TestFailures: what is no success, and what is told of it.
func TestFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		status int
		says   string
	}{
		"redirect":    {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, 302, ""},
		"not found":   {status(404), 404, ""},
		"timeout":     {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, "no answer within 300ms"},
		"broken off":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, "EOF"},
		"not to talk": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 100<<10)) }, 0, "response headers exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.receiver(c.answer)
			b := w.box(func(c *Config) { c.Timeout = 300 * time.Millisecond })
			hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
			rec := w.ended(schemas.StateSucceeded, nil)
			b.Ended(rec, true)
			d := w.settled(b, rec, hook.ID, 1)
			if d.State != schemas.DeliveryPending || d.Last.Status != c.status || !strings.Contains(d.Last.Error, c.says) {
				t.Errorf("%s, last %+v", d.State, d.Last)
			}
			if strings.Contains(d.Last.Error, r.URL) {
				t.Errorf("the error repeats the address: %s", d.Last.Error)
			}
			if got := r.requests(); len(got) != 1 {
				t.Errorf("%d requests: %+v", len(got), got)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(nil)
	b := w.box(nil)
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	r.Close()
	rec := w.ended(schemas.StateSucceeded, nil)
	b.Ended(rec, true)
	if d := w.settled(b, rec, hook.ID, 1); d.State != schemas.DeliveryPending || !strings.Contains(d.Last.Error, "connection refused") || strings.Contains(d.Last.Error, "127.0.0.1") {
		t.Errorf("%+v", d.Last)
	}
	w.eventually("that is noted", func() bool { return b.List(tenant)[0].FailingUS != 0 })
}

func TestAnswerIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(strings.Repeat("\xff\x00<é", 10_000))); err != nil {
				return
			}
		}
	})
	b := w.box(nil)
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	rec := w.ended(schemas.StateSucceeded, func(r *schemas.Record) {
		r.Labels = map[string]string{}
		for c := 'a'; c < 'q'; c++ {
			r.Labels[strings.Repeat(string(c), 63)] = strings.Repeat("<", 63)
		}
	})
	b.Ended(rec, true)
	if d := w.settled(b, rec, hook.ID, 1); len(d.Last.Answer) > schemas.MaxAnswerHead || d.Last.Status != 400 || !strings.HasPrefix(d.Last.Answer, "\uFFFD\uFFFD<é") {
		t.Errorf("%+v", d.Last)
	}
	if got := len(r.requests()[0].body); got > 20<<10 {
		t.Errorf("payload of %d bytes", got)
	}
}

func TestGoneDisables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(status(http.StatusGone))
	b := w.box(nil)
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	rec := w.ended(schemas.StateSucceeded, nil)
	b.Ended(rec, true)
	d := w.settled(b, rec, hook.ID, 1)
	if d.State != schemas.DeliveryFailed || d.Reason != gone {
		t.Errorf("%+v", d)
	}
	w.eventually("it is disabled", func() bool { return !b.List(tenant)[0].Enabled })
	if hook := b.List(tenant)[0]; hook.Disabled != gone {
		t.Errorf("webhook: %+v", hook)
	}
	unheard := w.ended(schemas.StateSucceeded, nil)
	b.Ended(unheard, true)
	if _, err := b.Replay(t.Context(), tenant, d.ID); err == nil {
		t.Error("replayed to a webhook that is disabled")
	}
	r.answers(nil)
	w.clock.advance(time.Second)
	on := true
	if _, err := b.Update(t.Context(), tenant, hook.ID, schemas.WebhookPatch{Enabled: &on}); err != nil {
		t.Fatal(err)
	}
	b.Ended(unheard, true) // it ended while nobody was to be told
	later := w.ended(schemas.StateSucceeded, nil)
	b.Ended(later, true)
	w.settled(b, later, hook.ID, 1)
	if got := r.requests(); len(got) != 2 || got[1].event.Data.ID != later.ID {
		t.Errorf("%d requests", len(got))
	}
}

// TestFailingForDaysDisables, and what is on its way then fails when it is due.
func TestFailingForDaysDisables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(status(http.StatusBadGateway))
	b := w.box(nil)
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	first := w.ended(schemas.StateSucceeded, nil)
	b.Ended(first, true)
	w.settled(b, first, hook.ID, 1)
	w.eventually("it is noted", func() bool { return b.List(tenant)[0].FailingUS != 0 })
	w.clock.advance(disableAfter + time.Hour)
	second := w.ended(schemas.StateSucceeded, nil)
	b.Ended(second, true)
	w.settled(b, second, hook.ID, 1)
	w.eventually("it is disabled", func() bool { return !b.List(tenant)[0].Enabled })
	if hook := b.List(tenant)[0]; !strings.HasPrefix(hook.Disabled, "every delivery has failed since 2026-11-28 12:00") {
		t.Errorf("webhook: %+v", hook)
	}
	w.clock.to(w.delivery(b, second, hook.ID).NextUS)
	w.eventually("what is on its way fails", func() bool { return w.delivery(b, second, hook.ID).State == schemas.DeliveryFailed })
	if d := w.delivery(b, second, hook.ID); d.Reason != "the webhook is disabled" {
		t.Errorf("%+v", d)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	b := w.box(nil)
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	rec := w.ended(schemas.StateSucceeded, nil)
	b.Ended(rec, true)
	d := w.settled(b, rec, hook.ID, 1)
	if pause := time.Duration(d.NextUS-d.Last.AtUS) * time.Microsecond; pause < time.Hour || pause > time.Hour+2*time.Second {
		t.Errorf("next in %s", pause)
	}
	r.answers(nil)
	// Another delivery waits as well: the receiver asked for peace.
	second := w.ended(schemas.StateSucceeded, nil)
	b.Ended(second, true)
	w.eventually("the second is there", func() bool { return w.delivery(b, second, hook.ID).ID != "" })
	w.clock.advance(50 * time.Minute)
	if got := r.requests(); len(got) != 1 {
		t.Errorf("%d requests within the hour", len(got))
	}
	w.clock.to(d.NextUS)
	w.settled(b, second, hook.ID, 1)
}

// TestRotation: both secrets sign until the overlap is over.
func TestRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(nil)
	b := w.box(nil)
	old := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	renewed, err := b.Rotate(t.Context(), tenant, old.ID, time.Hour)
	if err != nil || renewed.Secrets != 2 || renewed.Secret == old.Secret {
		t.Fatalf("%+v, %v", renewed, err)
	}
	rec := w.ended(schemas.StateSucceeded, nil)
	b.Ended(rec, true)
	w.settled(b, rec, old.ID, 1)
	one := r.requests()[0]
	w.verify(one, old.Secret)
	w.verify(one, renewed.Secret)
	w.clock.advance(time.Hour)
	rec = w.ended(schemas.StateSucceeded, nil)
	b.Ended(rec, true)
	w.settled(b, rec, old.ID, 1)
	one = r.requests()[1]
	w.verify(one, renewed.Secret)
	if n := len(strings.Fields(one.header.Get(headerSignature))); n != 1 {
		t.Errorf("%d signatures after the overlap", n)
	}
	if hook, err := b.Get(t.Context(), tenant, old.ID); err != nil || hook.Secrets != 1 || hook.Secret != "" {
		t.Errorf("%+v, %v", hook, err)
	}
}

// TestBreaker: a receiver that is down is not sent all that waits for it, and
// another one of the same tenant does not wait.
func TestBreaker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	down, up := w.receiver(status(http.StatusInternalServerError)), w.receiver(nil)
	b := w.box(func(c *Config) { c.PerWebhook = 1 })
	broken := w.hook(b, schemas.WebhookSpec{URL: down.URL})
	w.hook(b, schemas.WebhookSpec{URL: up.URL})
	const jobs = 20
	var recs []schemas.Record
	for range jobs {
		recs = append(recs, w.ended(schemas.StateSucceeded, nil))
		b.Ended(recs[len(recs)-1], true)
	}
	w.eventually("the one that is well is told everything", func() bool { return len(up.requests()) == jobs })
	w.eventually("the other one is left alone", func() bool { _, n := b.book.onTheirWay(); return n == 1 })
	if n := len(down.requests()); n != breakAfter {
		t.Errorf("%d requests before the pause", n)
	}
	down.answers(nil)
	w.clock.advance(firstBreak)
	w.eventually("it is told everything once it is back", func() bool {
		page, err := b.Deliveries(t.Context(), tenant, Filter{Webhook: broken.ID, State: schemas.DeliveryDelivered}, "", 100)
		return err == nil && len(page.Deliveries) == jobs
	})
}

func TestManage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.box(nil)
	own := "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	hook := w.hook(b, schemas.WebhookSpec{URL: "https://example.org/", Secret: own, Events: []string{schemas.EventJobDead, schemas.EventJobFailed, schemas.EventJobDead}})
	if hook.Secret != own || !slices.Equal(hook.Events, []string{schemas.EventJobFailed, schemas.EventJobDead}) || !hook.Enabled {
		t.Errorf("%+v", hook)
	}
	for _, bad := range []string{"https://127.0.0.1:1/", "http://169.254.169.254/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "http://93.184.216.34/"} {
		if _, err := w.box(func(c *Config) { c.Allow = nil }).Create(t.Context(), tenant, schemas.WebhookSpec{URL: bad}); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	for range schemas.MaxWebhooks - 1 {
		w.hook(b, schemas.WebhookSpec{URL: "https://example.org/"})
	}
	if _, err := b.Create(t.Context(), tenant, schemas.WebhookSpec{URL: "https://example.org/"}); err != ErrTooMany {
		t.Errorf("one too many: %v", err)
	}
	if _, err := b.Get(t.Context(), "other", hook.ID); err == nil {
		t.Error("another tenant reads it")
	}
	if err := b.Delete(t.Context(), tenant, hook.ID); err != nil {
		t.Error(err)
	}
	if n := len(b.List(tenant)); n != schemas.MaxWebhooks-1 {
		t.Errorf("%d after the removal", n)
	}
	if err := b.Delete(t.Context(), tenant, hook.ID); err == nil {
		t.Error("removed twice")
	}
}

// TestCreateWaitsForItsTenantAlone, and for no longer than it is asked to.
func TestCreateWaitsForItsTenantAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.box(nil)
	done, err := b.creating.Take(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	spec := schemas.WebhookSpec{URL: "https://example.org/"}
	if _, err := b.Create(t.Context(), "other", spec); err != nil {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Create(gone, tenant, spec); !errors.Is(err, context.Canceled) {
		t.Errorf("made by who has gone: %v", err)
	}
	done()
	w.hook(b, spec)
}

// TestManageAtOnce: however many are made at once, through two gateways, there are
// never more than there may be.
func TestManageAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	boxes := []*box{w.box(nil), w.box(nil)}
	if _, err := boxes[0].CallbackSecret(t.Context(), tenant); err != nil { // does not count
		t.Fatal(err)
	}
	for range schemas.MaxWebhooks - 2 {
		w.hook(boxes[0], schemas.WebhookSpec{URL: "https://example.org/"})
	}
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			_, err := boxes[i%2].Create(t.Context(), tenant, schemas.WebhookSpec{URL: "https://example.org/"})
			if err != nil && !errors.Is(err, ErrTooMany) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	n := 0
	err := boxes[0].cfg.Queue.Webhooks.Read(t.Context(), tenant, 0, func(e jobqueue.Entry) bool { n++; return true })
	if n--; err != nil || n > schemas.MaxWebhooks || n < schemas.MaxWebhooks-2 { // one has the callbacks' secrets
		t.Errorf("there are %d, %v", n, err)
	}
}

// TestReplayIsBounded: what is on its way counts, however it came there.
func TestReplayIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(nil)
	b := w.box(func(c *Config) { c.MaxPending = 64 })
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	var all []schemas.Delivery
	for range 3 {
		rec := w.ended(schemas.StateSucceeded, nil)
		b.Ended(rec, true)
		all = append(all, w.settled(b, rec, hook.ID, 1))
	}
	block := make(chan struct{})
	defer close(block)
	r.answers(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-block:
		case <-r.Context().Done():
		}
	})
	for i, d := range all {
		if _, err := b.Replay(t.Context(), tenant, d.ID); errors.Is(err, ErrFull) != (i == 2) || err != nil && i < 2 {
			t.Errorf("replay %d: %v", i, err)
		}
	}
	if _, err := b.Replay(t.Context(), tenant, all[0].ID); err != nil && !errors.Is(err, ErrFull) { // which is on its way already
		t.Error(err)
	}
}

func TestTestTells(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(nil)
	b := w.box(nil)
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	d, err := b.Test(t.Context(), tenant, hook.ID)
	if err != nil || d.State != schemas.DeliveryDelivered || d.Last.Status != 200 || d.Event != schemas.EventWebhookTest {
		t.Fatalf("%+v, %v", d, err)
	}
	one := r.requests()[0]
	w.verify(one, hook.Secret)
	if one.event.Type != schemas.EventWebhookTest || one.event.Data.ID != hook.ID {
		t.Errorf("%s", one.body)
	}
	r.answers(status(500))
	w.clock.advance(time.Second)
	if d, err = b.Test(t.Context(), tenant, hook.ID); err != nil || d.State != schemas.DeliveryFailed || d.Last.Status != 500 {
		t.Errorf("%+v, %v", d, err)
	}
	page, err := b.Deliveries(t.Context(), tenant, Filter{}, "", 1)
	if err != nil || len(page.Deliveries) != 1 || page.Next == "" || page.Deliveries[0].ID != d.ID {
		t.Fatalf("%+v, %v", page, err)
	}
	rest, err := b.Deliveries(t.Context(), tenant, Filter{}, page.Next, 10)
	if err != nil || len(rest.Deliveries) != 1 || rest.Next != "" || rest.Deliveries[0].ID == d.ID {
		t.Errorf("%+v, %v", rest, err)
	}
}
