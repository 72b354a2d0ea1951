package api

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/program-explorer/pe/gateway/campaign"
	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// campaigns serves the API with real campaigns and a real coordinator.
func campaigns(t *testing.T, change ...func(*Config)) *harness {
	t.Helper()
	return start(t, append([]func(*Config){func(c *Config) {
		queue := queuetest.Start(t).Gateway(t, nil)
		var all *campaign.Campaigns
		jobs, err := coordinator.New(coordinator.Config{Queue: queue, Store: c.Store, OnEnded: func(rec schemas.Record, rev uint64, _ bool) { all.JobEnded(rec, rev) }})
		if err != nil {
			t.Fatal(err)
		}
		all = newCampaigns(t, queue, jobs)
		during(t, jobs.Run)
		if err := jobs.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Campaigns, c.Jobs = all, withFleet{jobs}
	}}, change...)...)
}

// newCampaigns runs some until the test ends.
func newCampaigns(t *testing.T, queue *jobqueue.Queue, jobs campaign.Jobs) *campaign.Campaigns {
	t.Helper()
	all, err := campaign.New(campaign.Config{Queue: queue, Jobs: jobs})
	if err != nil {
		t.Fatal(err)
	}
	during(t, all.Run)
	<-all.Known()
	return all
}

// during runs something until the test ends.
func during(t *testing.T, run func(context.Context) error) {
	done := make(chan error, 1)
	go func() { done <- run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// noJobs are of no campaign.
type noJobs struct{}

func (noJobs) Unfinished(string, string) int { return 0 }
func (noJobs) CampaignJobs(string, string) (map[schemas.State]int, error) {
	return map[schemas.State]int{}, nil
}
func (noJobs) SettledCampaignJobs(context.Context, string, string) (map[schemas.State]int, uint64, error) {
	return map[schemas.State]int{}, 1, nil
}

// withFleet is a coordinator of a system that has somebody to run jobs, who never does.
type withFleet struct{ *coordinator.Coordinator }

func (withFleet) Executors() []schemas.Executor { return newFakeJobs(nil).fleet }

func TestCampaigns(t *testing.T) {
	t.Parallel()
	outbox := newOutbox(t)
	h := campaigns(t, func(c *Config) { c.Webhooks = outbox })
	const at = "/v1/campaigns/nightly-1"
	put := func(status int, body string) schemas.Campaign {
		return ask[schemas.Campaign](t, h, status, "PUT", at, body)
	}
	if list := ask[schemas.CampaignList](t, h, 200, "GET", "/v1/campaigns", ""); len(list.Campaigns) != 0 {
		t.Errorf("there is one already: %+v", list)
	}
	// Jobs of before belong to it, too.
	job := h.submit(t, `{"image":"gcc","labels":{"campaign":"nightly-1"}}`)
	body := `{"description":"tests","callback":{"url":"https://example.org/done"}}`
	if c := put(201, body); c.State != schemas.CampaignOpen || c.Callback == nil || c.Unfinished != 1 {
		t.Errorf("made: %+v", c)
	}
	put(200, body)
	if p := ask[schemas.ProblemDocument](t, h, 409, "PUT", at, `{}`); p.Type != schemas.ProblemTypePrefix+"conflict" {
		t.Errorf("%+v", p)
	}
	if c := ask[schemas.Campaign](t, h, 200, "GET", at, ""); c.Jobs[schemas.StateQueued] != 1 || c.Description != "tests" {
		t.Errorf("open: %+v", c)
	}
	if c := ask[schemas.Campaign](t, h, 200, "POST", at+":close", ""); c.State != schemas.CampaignClosed || c.ClosedUS == 0 {
		t.Errorf("closed: %+v", c)
	}
	for _, spec := range []string{`{"image":"gcc","labels":{"campaign":"nightly-1"}}`, `{"image":"gcc","cache":"use","labels":{"campaign":"nightly-1"}}`} {
		h.refused(t, kindCampaignClosed, "POST", "/v1/jobs", spec)
	}
	batch := `{"mode":"each","jobs":[{"image":"gcc","labels":{"campaign":"nightly-1"}},{"image":"gcc","labels":{"campaign":"nightly-2"}}]}`
	if r := ask[schemas.BatchReply](t, h, 202, "POST", "/v1/jobs:batch", batch); r.Jobs[0].Problem == nil || r.Jobs[0].Problem.Status != http.StatusConflict || r.Jobs[1].Job == nil {
		t.Errorf("batch: %+v", r)
	}
	ask[schemas.Job](t, h, 200, "DELETE", "/v1/jobs/"+job.ID, "")
	ended := ask[schemas.Campaign](t, h, 200, "GET", at+"?wait=1m", "")
	if ended.State != schemas.CampaignEnded || !maps.Equal(ended.Jobs, map[schemas.State]int{schemas.StateCancelled: 1}) {
		t.Errorf("ended: %+v", ended)
	}
	if list := ask[schemas.CampaignList](t, h, 200, "GET", "/v1/campaigns", "").Campaigns; len(list) != 1 || list[0].Name != "nightly-1" || list[0].EndedUS != ended.EndedUS {
		t.Errorf("list: %+v", list)
	}
	if resp := h.request(t, "DELETE", at, ""); resp.StatusCode != http.StatusNoContent {
		t.Errorf("removed: %s", resp.Status)
	}
	h.refused(t, kindNotFound, "GET", at, "")
	h.submit(t, `{"image":"gcc","labels":{"campaign":"nightly-1"}}`) // a label alone, again
}

func TestCampaignsRefuse(t *testing.T) {
	t.Parallel()
	outbox := newOutbox(t)
	h := campaigns(t, func(c *Config) { c.Webhooks = outbox })
	for _, c := range []struct {
		kind               kind
		method, path, body string
	}{
		{kindCampaign, "PUT", "/v1/campaigns/-a", `{}`}, {kindCampaign, "PUT", "/v1/campaigns/a%2Fb", `{}`}, {kindCampaign, "PUT", "/v1/campaigns/" + strings.Repeat("a", 64), `{}`},
		{kindCampaign, "PUT", "/v1/campaigns/a", `{"name":"b"}`}, {kindCampaign, "PUT", "/v1/campaigns/a", `{"callback":{"url":"https://10.0.0.1/"}}`},
		{kindMalformed, "PUT", "/v1/campaigns/a", `{`}, {kindTooLarge, "PUT", "/v1/campaigns/a", strings.Repeat(" ", schemas.MaxCampaignBytes+1)},
		{kindNotFound, "GET", "/v1/campaigns/a", ""}, {kindNotFound, "GET", "/v1/campaigns/a?wait=1s", ""}, {kindNotFound, "GET", "/v1/campaigns/a%20b", ""}, {kindMalformed, "GET", "/v1/campaigns/a?wait=x", ""},
		{kindNotFound, "POST", "/v1/campaigns/a:close", ""}, {kindNotFound, "DELETE", "/v1/campaigns/a", ""},
	} {
		h.refused(t, c.kind, c.method, c.path, c.body)
	}
	without := start(t)
	without.refused(t, kindNotFound, "GET", "/v1/campaigns/a", "")
	without.submit(t, `{"image":"gcc","labels":{"campaign":"a"}}`)
}

// TestCampaignsTellWhoMayRead: who may only submit learns how the campaign stands, and no more.
func TestCampaignsTellWhoMayRead(t *testing.T) {
	t.Parallel()
	const submitter, reader, other = "0123456789abcdef-submit", "0123456789abcdef-read", "0123456789abcdef-other"
	outbox := newOutbox(t)
	h := campaigns(t, func(c *Config) { c.Webhooks = outbox }, withTokens(t, token(t, submitter, "", schemas.ScopeSubmit),
		token(t, reader, "", schemas.ScopeSubmit, schemas.ScopeRead), token(t, other, "other", schemas.ScopeSubmit, schemas.ScopeRead)))
	as := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	ask[schemas.Campaign](t, h, 201, "PUT", "/v1/campaigns/a", `{"callback":{"url":"https://example.org/secret"}}`, as(reader)...)
	if c := ask[schemas.Campaign](t, h, 200, "POST", "/v1/campaigns/a:close", "", as(submitter)...); c.Callback != nil || c.ClosedUS == 0 {
		t.Errorf("told: %+v", c)
	}
	if c := ask[schemas.Campaign](t, h, 200, "GET", "/v1/campaigns/a", "", as(reader)...); c.Callback == nil {
		t.Errorf("not told: %+v", c)
	}
	h.refused(t, kindNotFound, "GET", "/v1/campaigns/a", "", as(other)...)
	h.refused(t, kindNotFound, "POST", "/v1/campaigns/a:close", "", as(other)...)
	ask[schemas.Job](t, h, 202, "POST", "/v1/jobs", `{"image":"gcc","labels":{"campaign":"a"}}`, as(other)...)
}
