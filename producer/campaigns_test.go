package producer_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/program-explorer/pe/producer/internal/canned"
	"github.com/program-explorer/pe/schemas"
)

// TestCampaigns: all that is asked of them may be repeated, and is, while a gateway is not ready.
func TestCampaigns(t *testing.T) {
	t.Parallel()
	gateway := canned.Start(t)
	c := client(t, gateway.URL)
	gateway.Busy(1)
	made, err := c.CreateCampaign(t.Context(), "nightly", schemas.CampaignSpec{Description: "tests"})
	if err != nil || made.State != schemas.CampaignOpen || made.Description != "tests" {
		t.Errorf("%+v, %v", made, err)
	}
	list, err := c.Campaigns(t.Context())
	if err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	gateway.Busy(1)
	if closed, err := c.CloseCampaign(t.Context(), "primes"); err != nil || closed.State != schemas.CampaignClosed {
		t.Errorf("%+v, %v", closed, err)
	}
	gateway.Busy(1)
	if ended, err := c.WaitCampaign(t.Context(), "primes"); err != nil || ended.State != schemas.CampaignEnded || ended.Jobs[schemas.StateSucceeded] != 2 {
		t.Errorf("%+v, %v", ended, err)
	}
	if err := c.RemoveCampaign(t.Context(), "primes"); err != nil {
		t.Error(err)
	}
	var p *schemas.ProblemDocument
	if _, err := c.Campaign(t.Context(), "none"); !errors.As(err, &p) || p.Status != http.StatusNotFound {
		t.Errorf("%v", err)
	}
	if _, err := c.WaitCampaign(t.Context(), "none"); !errors.As(err, &p) || p.Status != http.StatusNotFound {
		t.Errorf("%v", err)
	}
}
