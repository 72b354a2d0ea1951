package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// turnWords say what a queued job waits for where it is only its turn: which
// slots fit, and how many are busy. If the fleet cannot be had, nothing.
func turnWords(ctx context.Context, c *producer.Client, job schemas.Job) string {
	if job.State != schemas.StateQueued || job.Spec == nil {
		return ""
	}
	fleet, err := c.Executors(ctx)
	if err != nil {
		return ""
	}
	needs := job.Spec.Requires
	needs.Isolation = cmp.Or(needs.Isolation, schemas.IsolationStrong)
	var fit []string
	busy, slots := 0, 0
	for _, e := range fleet {
		if e.State == schemas.ExecutorUp && needs.SatisfiedBy(e.Facts) {
			fit = append(fit, printable(e.Executor))
			busy, slots = busy+e.Busy, slots+e.Slots
		}
	}
	switch {
	case len(fit) == 0:
		return ""
	case busy < slots:
		return fmt.Sprintf("for its turn; %d of %s busy on %s", busy, plural(slots, "slot"), strings.Join(fit, ", "))
	}
	return fmt.Sprintf("for a free slot: all %d that fit are busy, on %s; pe executors shows with what", slots, strings.Join(fit, ", "))
}
