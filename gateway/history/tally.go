package history

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
		if !slices.ContainsFunc(p.jobs, func(j job) bool { return want(&j) }) {
			continue
		}
		found, err := s.page(ctx, p, labels)
		if err != nil {
			return err
		}
		for _, state := range found {
			counts[schemas.States[state]]++
		}
	}
	return nil
}

// page gives the states of a page's jobs that have all of the labels, by their places
// in [schemas.States].
func (s Snapshot) page(ctx context.Context, p *page, labels map[string]string) ([]uint8, error) {
	key := tallied{s.tenant, p.number, p.revision, fmt.Sprint(labels)} // in the order of their names
	if found, ok := s.h.tallies.get(key); ok {
		return found, nil
	}
	want, found := Filter{Labels: labels}.compile(), []uint8{}
	for i := range p.jobs {
		if !want(&p.jobs[i]) {
			continue
		}
		job, err := s.h.Read(ctx, Place{s.tenant, p.id(i), p.rev(i), p.number, p.revision, i})
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return nil, err
		case HasLabels(&job.Record, labels):
			found = append(found, uint8(p.jobs[i].traits&stateBits))
		}
	}
	s.h.tallies.put(key, found)
	return found, nil
}
