package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestCampaignEndsThoughTheSystemDies: a campaign that was closed before everything
// was killed ends with its last job, and its callback hears of that.
func TestCampaignEndsThoughTheSystemDies(t *testing.T) {
	t.Parallel()
	hears := listen(t)
	dir := t.TempDir()
	nothing := func(run string) system {
		return upIn(t, dir, "--isolation", "noop", "--grace", "1s", "--webhook-allow-cidr", "127.0.0.0/8", "--noop-run", run)
	}
	s := nothing("1h")
	secret := strings.TrimSpace(s.pe(t, "webhooks", "secret").want(t, 0).stdout)
	s.pe(t, "campaign", "create", "nightly", "--callback", hears.url+"/done").want(t, 0).says(t, "open")
	submit := append([]string{"submit", "-l", "campaign=nightly"}, onNothing...)
	for range 3 {
		s.pe(t, submit...).want(t, 0)
	}
	s.pe(t, "campaign", "close", "nightly").want(t, 0).says(t, "closed", "3")
	s.pe(t, submit...).want(t, 3).says(t, "takes no more jobs")
	s.kill()

	s = nothing("0s")
	s.pe(t, "campaign", "wait", "nightly").want(t, 0).says(t, "ended", "3 succeeded")
	var event struct {
		Type string
		Data struct {
			ID   string
			Jobs map[schemas.State]int
		}
	}
	got := hears.next(t, secret)
	if err := json.Unmarshal(got.body, &event); err != nil {
		t.Fatalf("%v: %s", err, got.body)
	}
	if event.Type != "campaign.ended" || event.Data.ID != "nightly" || event.Data.Jobs[schemas.StateSucceeded] != 3 {
		t.Errorf("told was %s", got.body)
	}
	s.pe(t, "campaign", "list").want(t, 0).says(t, "nightly", "ended")
}
