package producer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/program-explorer/pe/schemas"
)

// CreateCampaign makes a campaign: jobs belong to it by their label
// [schemas.LabelCampaign]. It may be repeated; it is refused if the campaign is there
// with another description or callback.
func (c *Client) CreateCampaign(ctx context.Context, name string, spec schemas.CampaignSpec) (made schemas.Campaign, err error) {
	put := campaignCall(http.MethodPut, name)
	put.json = true
	put.body, put.size, err = jsonBody(spec)
	if err == nil {
		err = c.retry(ctx, func() error { return c.ask(ctx, put, &made) })
	}
	return made, err
}

// Campaigns lists those that there are, the newest first. Their jobs are counted by state if they have ended.
func (c *Client) Campaigns(ctx context.Context) ([]schemas.Campaign, error) {
	var list schemas.CampaignList
	err := c.retry(ctx, func() error { return c.ask(ctx, campaignCall(http.MethodGet), &list) })
	return list.Campaigns, err
}

// Campaign returns one with its jobs counted by state.
func (c *Client) Campaign(ctx context.Context, name string) (one schemas.Campaign, err error) {
	err = c.retry(ctx, func() error { return c.ask(ctx, campaignCall(http.MethodGet, name), &one) })
	return one, err
}

// CloseCampaign says that no more jobs are expected: it ends once all of its jobs have.
// It may be repeated.
func (c *Client) CloseCampaign(ctx context.Context, name string) (one schemas.Campaign, err error) {
	post := campaignCall(http.MethodPost, name+":close")
	post.json = true
	err = c.retry(ctx, func() error { return c.ask(ctx, post, &one) })
	return one, err
}

// WaitCampaign returns a campaign once it has ended, for which somebody has to close it. It
// goes on over broken connections and a restarting gateway.
func (c *Client) WaitCampaign(ctx context.Context, name string) (schemas.Campaign, error) {
	get := campaignCall(http.MethodGet, name)
	get.query = url.Values{"wait": {pollWait.String()}}
	p := c.newPatience()
	for first := true; ; first = false {
		var one schemas.Campaign
		err := c.ask(ctx, get, &one)
		switch {
		case err == nil && one.State == schemas.CampaignEnded:
			return one, nil
		case err == nil:
			p.reset()
			continue
		case first && refused(err):
			return one, err
		}
		if err := p.pause(ctx, err); err != nil {
			return one, fmt.Errorf("wait for campaign %s: %w", name, err)
		}
	}
}

// RemoveCampaign forgets a campaign, and none of its jobs. If it has not ended, nobody is told.
func (c *Client) RemoveCampaign(ctx context.Context, name string) error {
	return c.retryLimited(ctx, func() error {
		resp, err := c.send(ctx, campaignCall(http.MethodDelete, name))
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxProblem))
			resp.Body.Close()
		}
		return err
	})
}

func campaignCall(method string, path ...string) call {
	return call{method: method, path: append([]string{"v1", "campaigns"}, path...)}
}
