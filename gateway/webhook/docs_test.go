package webhook

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// TestPageHasTheFigures holds docs/webhooks.md to the code.
func TestPageHasTheFigures(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Config{Queue: &jobqueue.Queue{}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	flat := strings.Join(strings.Fields(string(page)), " ")
	for _, text := range []string{
		fmt.Sprintf("at most %d. Making", schemas.MaxWebhooks),
		fmt.Sprintf("within %.0f seconds", c.Timeout.Seconds()),
		"after 5 seconds, 5 minutes, 30 minutes, and 2, 5, 10, 14, 20 and 24 hours", // the schedule has a test of its own
		fmt.Sprintf("up to %.0f hours", maxRetryAfter.Hours()),
		fmt.Sprintf("(%d times in a row) it is left alone for %.0f seconds, then up to %.0f minutes", breakAfter, firstBreak.Seconds(), longestBreak.Minutes()),
		fmt.Sprintf("attempts go on for up to %d days", lifetime/day),
		fmt.Sprintf("has failed for %d days", disableAfter/day),
		"| `" + schemas.EventWebhookTest + "` |",
		fmt.Sprintf("first %d bytes", schemas.MaxAnswerHead),
		fmt.Sprintf("kept for %d days", jobqueue.DeliveryAge/day),
		fmt.Sprintf("looks back %d days", lookBack/day),
		fmt.Sprintf("at most %d,%03d deliveries", c.MaxPending/1000, c.MaxPending%1000),
		fmt.Sprintf("at most %d,000,000 deliveries in %d days", c.MaxKept/1_000_000, jobqueue.DeliveryAge/day),
		fmt.Sprintf("for up to %d days: a webhook", lookBack/day),
	} {
		if !strings.Contains(flat, text) {
			t.Errorf("docs/webhooks.md does not say %q", text)
		}
	}
	for _, event := range schemas.WebhookEvents {
		if !strings.Contains(flat, "`"+event+"`") {
			t.Errorf("docs/webhooks.md does not have %s", event)
		}
	}
	// What is looked at again must not have been forgotten, nor what is on its way.
	if jobqueue.DeliveryAge < lookBack+day || jobqueue.DeliveryAge < lifetime+2*maxRetryAfter {
		t.Error("deliveries are not kept long enough")
	}
}
