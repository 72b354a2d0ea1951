package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/gateway/campaign"
	"github.com/program-explorer/pe/schemas"
)

// Campaigns is what the API asks of package campaign, whose [campaign.Campaigns] it is.
type Campaigns interface {
	Create(ctx context.Context, tenant, name string, s schemas.CampaignSpec) (c schemas.Campaign, created bool, err error)
	List(tenant string) ([]schemas.Campaign, error)
	Get(ctx context.Context, tenant, name string) (schemas.Campaign, error)
	// Wait gives it once it has ended, or as it is when ctx has.
	Wait(ctx context.Context, tenant, name string) (schemas.Campaign, error)
	Close(ctx context.Context, tenant, name string) (schemas.Campaign, error)
	Remove(ctx context.Context, tenant, name string) error
	// Admit refuses a job with these labels, if it belongs to a campaign that is closed.
	Admit(tenant string, labels map[string]string) error
}

var _ Campaigns = (*campaign.Campaigns)(nil)

// campaigning serves a route that a gateway without campaigns does not have. A name that is
// none is simply not there, but for who wants to make it.
func (a *API) campaigning(serve func(w http.ResponseWriter, r *http.Request, tenant, name string) error) handler {
	return func(w http.ResponseWriter, r *http.Request, tenant string) error {
		name := r.PathValue("name")
		switch {
		case a.Campaigns == nil:
			return kindNotFound.problem("this gateway keeps no campaigns", "jobs belong together by their label campaign all the same")
		case !schemas.ValidCampaignName(name) && r.Method == http.MethodPut:
			return kindCampaign.problem(fmt.Sprintf("%q names no campaign", clip(name)), "want 1 to 63 letters, digits and . _ -, the first a letter or digit")
		case !schemas.ValidCampaignName(name):
			return campaign.ErrNotFound
		}
		return serve(w, r, tenant, name)
	}
}

// createCampaign makes a campaign, or finds it as it is asked for: so it can be repeated.
func (a *API) createCampaign(w http.ResponseWriter, r *http.Request, tenant, name string) error {
	spec, problems, err := schemas.DecodeCampaignSpec(r.Body)
	if err != nil {
		return err
	}
	if len(problems) == 0 {
		problems = a.checkCallback(spec.Callback)
	}
	if len(problems) > 0 {
		p := invalid(problems)
		p.Type, p.Title, p.Hint = schemas.ProblemTypePrefix+kindCampaign.name, kindCampaign.title, "docs/campaigns.md has the fields"
		return p
	}
	made, created, err := a.Campaigns.Create(r.Context(), tenant, name, spec)
	if errors.Is(err, campaign.ErrTooMany) {
		w.Header().Set("Retry-After", "600") // somebody has to remove one
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/campaigns/"+name)
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return writeJSON(w, status, campaignFor(callerOf(r.Context()), made))
}

func (a *API) listCampaigns(w http.ResponseWriter, r *http.Request, tenant string) error {
	if a.Campaigns == nil {
		return writeJSON(w, http.StatusOK, schemas.CampaignList{})
	}
	list, err := a.Campaigns.List(tenant)
	if err != nil {
		return err
	}
	return a.writeLarge(w, r, tenant, schemas.CampaignList{Campaigns: list})
}

// getCampaign answers with a campaign and the counts of its jobs; ?wait= waits for its end first.
func (a *API) getCampaign(w http.ResponseWriter, r *http.Request, tenant, name string) error {
	wait, err := a.waitOf(r)
	if err != nil {
		return err
	}
	if wait == 0 {
		c, err := a.Campaigns.Get(r.Context(), tenant, name)
		return answered(w, c, err)
	}
	done, err := a.waits.begin(w.Header(), tenant)
	if err != nil {
		return err
	}
	defer done()
	stretch(w, wait+a.StallTimeout)
	ctx, cancel := a.untilDrained(r.Context(), wait)
	defer cancel()
	c, err := a.Campaigns.Wait(ctx, tenant, name)
	return answered(w, c, err)
}

// closeCampaign says that no more jobs are expected.
func (a *API) closeCampaign(w http.ResponseWriter, r *http.Request, tenant, name string) error {
	c, err := a.Campaigns.Close(r.Context(), tenant, name)
	return answered(w, campaignFor(callerOf(r.Context()), c), err)
}

func (a *API) deleteCampaign(w http.ResponseWriter, r *http.Request, tenant, name string) error {
	if err := a.Campaigns.Remove(r.Context(), tenant, name); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// campaignFor is what a caller is told of the campaign that it acts on: whoever may not
// read learns how it stands alone.
func campaignFor(caller access.Caller, c schemas.Campaign) schemas.Campaign {
	if caller.May(schemas.ScopeRead) {
		return c
	}
	return schemas.Campaign{Name: c.Name, State: c.State, CreatedUS: c.CreatedUS, ClosedUS: c.ClosedUS, EndedUS: c.EndedUS}
}

// admitted refuses a job of a campaign that is closed.
func (a *API) admitted(tenant string, labels map[string]string) error {
	if a.Campaigns == nil {
		return nil
	}
	return a.Campaigns.Admit(tenant, labels)
}
