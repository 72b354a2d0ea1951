package gateway

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestCampaignEnds with the last of the jobs that a real coordinator runs, and its callback is told, once.
func TestCampaignEnds(t *testing.T) {
	t.Parallel()
	l := live(t)
	receiver, come := listens(t)
	ask := func(method, path, body string) *http.Response {
		t.Helper()
		req, err := http.NewRequest(method, l.server.URL()+path, bytes.NewBufferString(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	secret := decode[schemas.CallbackSecret](t, ask(http.MethodGet, "/v1/webhooks/secret", ""))
	made := decode[schemas.Campaign](t, ask(http.MethodPut, "/v1/campaigns/nightly", `{"callback":{"url":"`+receiver.URL+`"}}`))
	if made.State != schemas.CampaignOpen {
		t.Fatalf("made: %+v", made)
	}
	const jobs = 5
	for i := range jobs {
		l.post(fmt.Sprintf(`{"image":"gcc","args":["%d"],"labels":{"campaign":"nightly"}}`, i), "")
	}
	closed := decode[schemas.Campaign](t, ask(http.MethodPost, "/v1/campaigns/nightly:close", ""))
	if closed.ClosedUS == 0 {
		t.Errorf("closed: %+v", closed)
	}
	ended := decode[schemas.Campaign](t, ask(http.MethodGet, "/v1/campaigns/nightly?wait=1m", ""))
	if ended.State != schemas.CampaignEnded || ended.Jobs[schemas.StateSucceeded] != jobs || ended.Unfinished != 0 {
		t.Errorf("ended: %+v", ended)
	}
	one, event := nextTold(t, come, secret.Secret)
	if event.Type != schemas.EventCampaignEnded || event.Data.ID != "nightly" || event.Data.Jobs[schemas.StateSucceeded] != jobs || event.Data.Links.Campaign != "/v1/campaigns/nightly" {
		t.Errorf("%s", one.body)
	}
	if len(come) != 0 {
		t.Errorf("told twice: %s", (<-come).body)
	}
}
