package coordinator

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/feeder"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore/dir"
)

// TestPageHasTheFigures holds docs/architecture.md to the defaults.
func TestPageHasTheFigures(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Config{Queue: &jobqueue.Queue{}, Store: &dir.Store{}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	thousands := func(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }
	for text, holds := range map[string]bool{
		"After ten minutes without":                      c.PoolIdle == 10*time.Minute,
		"until ten minutes after its last job":           c.PoolIdle == 10*time.Minute,
		"after a week they are":                          forgetAfter == 7*24*time.Hour,
		thousands(c.Limits.Default.Queued) + " queued":   true,
		fmt.Sprintf("%d pools;", c.Limits.Default.Pools): true,
		"together may have " + thousands(maxAllPools):    true,
	} {
		if flat := strings.Join(strings.Fields(string(page)), " "); !holds || !strings.Contains(flat, text) {
			t.Errorf("docs/architecture.md does not say %q, or the code is otherwise", text)
		}
	}
}

// TestStatesPageHasTheFigures holds docs/states.md to the defaults.
func TestStatesPageHasTheFigures(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/states.md")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Config{Queue: &jobqueue.Queue{}, Store: &dir.Store{}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(string(page)), " ")
	for text, holds := range map[string]bool{
		fmt.Sprintf("up to %d in all", c.MaxAttempts):                   true,
		fmt.Sprintf("does not count, %d times", c.MaxHandbacks):         true,
		fmt.Sprintf("for a lease (%d s) is lost", c.Lease/time.Second):  true,
		"The wait is 1 s, 2 s, 4 s … up to a minute":                    firstBackoff == time.Second && feeder.MaxDelay == time.Minute,
		fmt.Sprintf("more than %d attempts", maxHistory-c.MaxHandbacks): true,
		fmt.Sprintf("%d less `--max-attempts`", maxHistory):             true,
		"an attempt that two of its executor's heartbeats":              maxMissed == 2,
		"`limits.wall_ms` and 1 h more":                                 c.Overtime == time.Hour,
		"A job to which that happens twice":                             c.MaxLosses == 2,
	} {
		if !holds || !strings.Contains(flat, text) {
			t.Errorf("docs/states.md does not say %q, or the code is otherwise", text)
		}
	}
}
