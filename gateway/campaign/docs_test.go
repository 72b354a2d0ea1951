package campaign

import (
	"os"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestPageHasTheFigures holds docs/campaigns.md to the code.
func TestPageHasTheFigures(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/campaigns.md")
	if err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(string(page)), " ")
	if schemas.MaxCampaigns != 1000 || !schemas.ValidCampaignName(strings.Repeat("a", 63)) || schemas.ValidCampaignName(strings.Repeat("a", 64)) {
		t.Error("the page has other bounds than the code")
	}
	texts := []string{"at most 1,000 campaigns", "1 to 63 letters, digits and `.` `_` `-`", "`409 campaign-closed`", `"type": "` + schemas.EventCampaignEnded + `"`}
	for _, state := range schemas.CampaignStates {
		texts = append(texts, "| `"+state+"` |")
	}
	for _, text := range texts {
		if !strings.Contains(flat, text) {
			t.Errorf("docs/campaigns.md does not say %q", text)
		}
	}
}
