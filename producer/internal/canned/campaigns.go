package canned

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// What there is in every gateway: a campaign that has ended, and one that is open and
// ends while somebody waits for it.
func (g *Gateway) routeCampaigns(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/campaigns", g.listCampaigns)
	mux.HandleFunc("PUT /v1/campaigns/{name}", g.createCampaign)
	mux.HandleFunc("GET /v1/campaigns/{name}", g.getCampaign)
	mux.HandleFunc("POST /v1/campaigns/{name}", g.closeCampaign)
	mux.HandleFunc("DELETE /v1/campaigns/{name}", func(w http.ResponseWriter, r *http.Request) {
		if _, ok := g.campaign(w, r.PathValue("name")); ok {
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

func (g *Gateway) endedCampaign() (c schemas.Campaign) {
	if err := json.Unmarshal(goldenSample(g.t, "campaign.ended"), &c); err != nil {
		g.t.Error(err)
	}
	c.CreatedUS, c.ClosedUS, c.EndedUS = epoch, epoch+60e6, epoch+600e6
	return c
}

func openCampaign() schemas.Campaign {
	return schemas.Campaign{Name: "primes", State: schemas.CampaignOpen, CreatedUS: epoch, Unfinished: 2}
}

func (g *Gateway) listCampaigns(w http.ResponseWriter, _ *http.Request) {
	g.reply(w, http.StatusOK, "campaign-list", schemas.CampaignList{Campaigns: []schemas.Campaign{openCampaign(), g.endedCampaign()}})
}

// campaign finds one of the two, or answers that there is none.
func (g *Gateway) campaign(w http.ResponseWriter, name string) (schemas.Campaign, bool) {
	for _, c := range []schemas.Campaign{openCampaign(), g.endedCampaign()} {
		if c.Name == name {
			return c, true
		}
	}
	g.problem(w, http.StatusNotFound, "not-found", "There is no such thing here", "there is no such campaign", "GET /v1/campaigns lists those that there are; a label alone makes none")
	return schemas.Campaign{}, false
}

func (g *Gateway) createCampaign(w http.ResponseWriter, r *http.Request) {
	spec, problems, err := schemas.DecodeCampaignSpec(r.Body)
	if err != nil || len(problems) > 0 {
		g.t.Errorf("PUT of a campaign: %v, %v", problems, err)
	}
	c := openCampaign()
	if c.Name == r.PathValue("name") && spec.Callback != nil {
		g.problem(w, http.StatusConflict, "conflict", "The request contradicts an earlier one", "the campaign is there, with another description or callback", "use another name, or remove that one first")
		return
	}
	c.Name, c.CampaignSpec, c.Unfinished = r.PathValue("name"), spec, 0
	g.reply(w, http.StatusCreated, "campaign", c)
}

func (g *Gateway) getCampaign(w http.ResponseWriter, r *http.Request) {
	c, ok := g.campaign(w, r.PathValue("name"))
	switch {
	case !ok:
		return
	case c.State == schemas.CampaignOpen && r.URL.Query().Get("wait") != "":
		c.Unfinished, c.ClosedUS, c.EndedUS, c.Jobs = 0, epoch+1, epoch+2, map[schemas.State]int{schemas.StateSucceeded: 2}
		c.Advance()
	case c.State == schemas.CampaignOpen:
		c.Jobs = map[schemas.State]int{schemas.StateQueued: 1, schemas.StateRunning: 1}
	}
	g.reply(w, http.StatusOK, "campaign", c)
}

func (g *Gateway) closeCampaign(w http.ResponseWriter, r *http.Request) {
	name, _ := strings.CutSuffix(r.PathValue("name"), ":close")
	c, ok := g.campaign(w, name)
	if !ok {
		return
	}
	if c.ClosedUS == 0 {
		c.ClosedUS = epoch + 1
		c.Advance()
	}
	g.reply(w, http.StatusOK, "campaign", c)
}
