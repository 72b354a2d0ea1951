package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

const (
	// deletesAtOnce is how many objects are deleted at the same time.
	deletesAtOnce = 8
	// inputsAtOnce is how many inputs are deleted in one window, during which uploads wait.
	inputsAtOnce = 256
)

// deletePage deletes the garbage of a page. What can't be deleted now is left to the next sweep.
func (r *run) deletePage(ctx context.Context) error {
	page := r.garbage
	r.garbage = nil
	if r.lease != nil {
		if err := r.lease.hold(ctx); err != nil {
			return err
		}
	}
	return r.each(ctx, page, func(ctx context.Context, g garbage) (bool, error) {
		if err := r.store.Delete(ctx, g.Key); err != nil {
			r.log.Warn("garbage stays", "object", g.Key, "err", err)
			return false, ctx.Err()
		}
		return true, nil
	})
}

// deleteInputs deletes the inputs that wait for it, in a window: see [Inputs].
func (r *run) deleteInputs(ctx context.Context) error {
	inputs := r.inputs
	r.inputs = nil
	if len(inputs) == 0 {
		return nil
	}
	need, err := r.need(ctx) // some were listed a while ago
	if err != nil {
		return err
	}
	inputs = slices.DeleteFunc(inputs, func(g garbage) bool {
		if need[g.Key] {
			r.keep(g.tenant, g.Info)
		}
		return need[g.Key]
	})
	if r.lease == nil {
		return r.each(ctx, inputs, nil)
	}
	err = r.lease.window(ctx, func(inside context.Context) error {
		return r.each(inside, inputs, func(inside context.Context, g garbage) (bool, error) {
			if ctx.Err() != nil {
				return false, nil // told to stop
			}
			info, err := r.store.Stat(inside, g.Key)
			if errors.Is(err, objstore.ErrNotFound) || err == nil && !r.rules.garbage(info.ModTime) {
				return false, nil // gone, or uploaded again since it was listed
			}
			if err == nil {
				err = r.store.Delete(inside, g.Key)
			}
			// One whose answer did not come may take effect later.
			return err == nil, err
		})
	})
	if err != nil {
		return err
	}
	return ctx.Err()
}

// each deletes garbage and counts what went; a dry run only counts. What stays is kept or failed.
func (r *run) each(ctx context.Context, all []garbage, remove func(context.Context, garbage) (bool, error)) error {
	gone, errs := make([]bool, len(all)), make([]error, len(all))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(deletesAtOnce)
	for i, g := range all {
		if r.lease == nil {
			gone[i] = true
			continue
		}
		group.Go(func() error {
			gone[i], errs[i] = remove(gctx, g)
			return errs[i]
		})
	}
	err := group.Wait()
	for i, g := range all {
		if gone[i] {
			r.count(g)
			continue
		}
		r.keep(g.tenant, g.Info)
		if g.kind != schemas.GarbageInput || errs[i] != nil {
			r.report.Failed++
		}
	}
	return err
}

// markers lists the removed jobs whose objects may be there still.
func (r *run) markers(ctx context.Context) ([]jobqueue.Entry, error) {
	if r.lease == nil {
		return nil, nil
	}
	return r.jobs.Markers(ctx)
}

// free frees the ids of jobs that were removed before this sweep listed
// everything: whatever was left of them is gone, unless something failed.
func (r *run) free(ctx context.Context, marked []jobqueue.Entry) error {
	if r.report.Failed > 0 {
		return nil
	}
	for _, m := range marked {
		if r.spared[m.Key] || r.started.Sub(m.Written) < r.options.Grace {
			continue // something of it is there, or whoever removes it may be at it
		}
		freed, err := r.jobs.Free(ctx, m)
		if err != nil {
			return fmt.Errorf("free the id of a removed job: %w", err)
		}
		if freed {
			r.report.Keys++
		}
	}
	return nil
}
