package coordinator

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

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
