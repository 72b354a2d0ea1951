package history

import (
	"context"
	"errors"

	"github.com/program-explorer/pe/schemas"
)

// Snapshot is what a tenant had in history at a moment.
type Snapshot struct {
	h      *History
	tenant string
	pages  []*page
}

// Snapshot reads nothing.
func (h *History) Snapshot(tenant string) Snapshot { return Snapshot{h, tenant, h.after(tenant, 0)} }

// Tally counts those of the jobs by state that have all of the labels, reading those
// that may. What has expired since is not counted.
func (s Snapshot) Tally(ctx context.Context, labels map[string]string, counts map[schemas.State]int) error {
	want := Filter{Labels: labels}.compile()
	for _, p := range s.pages {
		for i := range p.jobs {
			if !want(&p.jobs[i]) {
				continue
			}
			job, err := s.h.Read(ctx, Place{s.tenant, p.id(i), p.rev(i), p.number, p.revision, i})
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if HasLabels(&job.Record, labels) {
				counts[job.Record.State]++
			}
		}
	}
	return nil
}
