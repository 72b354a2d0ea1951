package retention

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// needed are the inputs that jobs need which are old enough for their inputs to expire.
type needed struct {
	keys map[string]bool
	at   time.Time
}

// specsAtOnce is how many specifications are read at the same time.
const specsAtOnce = 8

// judgeInput looks at an input: old enough, and needed by nobody, it goes.
func (r *run) judgeInput(ctx context.Context, p place, info objstore.Info) error {
	if !r.rules.garbage(info.ModTime) || r.young(info) {
		r.keep(p.tenant, info)
		return nil
	}
	need, err := r.need(ctx)
	if err != nil {
		return err
	}
	if need[info.Key] {
		r.keep(p.tenant, info)
		return nil
	}
	r.inputs = append(r.inputs, garbage{info, garbageOf{p.tenant, schemas.GarbageInput}})
	if len(r.inputs) < inputsAtOnce {
		return nil
	}
	return r.deleteInputs(ctx)
}

// need looks at all jobs anew when the last look was too long ago.
func (r *run) need(ctx context.Context) (map[string]bool, error) {
	now := r.now()
	if r.needed.keys != nil && now.Sub(r.needed.at) < r.rules.keep/16 {
		return r.needed.keys, nil
	}
	if err := r.jobs.CatchUp(ctx); err != nil {
		return nil, err
	}
	keys := map[string]bool{}
	var mu sync.Mutex
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(specsAtOnce)
	for _, job := range r.jobs.Needing(now.Add(-r.rules.keep / 8)) {
		group.Go(func() error {
			spec, err := r.jobs.SpecOf(gctx, job.Tenant, job.Job)
			if errors.Is(err, coordinator.ErrNotFound) {
				return nil // removed meanwhile, or can never run
			}
			if err != nil {
				return fmt.Errorf("what job %s needs: %w", job.Job, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, f := range spec.Files {
				if sum, err := schemas.ParseDigest(f.SHA256); err == nil {
					keys[schemas.InputKey(job.Tenant, sum)] = true
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	r.needed = needed{keys: keys, at: now}
	return keys, nil
}
