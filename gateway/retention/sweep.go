package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// Options of a sweep.
type Options struct {
	// DryRun deletes nothing.
	DryRun bool
	// Grace spares younger objects. Less than a submission can take is safe only
	// while nobody submits.
	Grace time.Duration
	// Progress is told how far it is, after each page of the listing. Optional.
	Progress func(schemas.SweepReport)
	// Gentle leaves the object store alone for as long as each page took.
	Gentle bool
}

// tmpLife is how long objects below tmp/ are kept.
const tmpLife = 24 * time.Hour

// Sweep lists the whole object store, and deletes what no record accounts for.
// It may be cut off at any moment, and begun again. The report is of what was
// done, also with an error. [ErrSweeping] while another one is under way.
func (s *Sweeper) Sweep(ctx context.Context, o Options) (schemas.SweepReport, error) {
	r := s.newRun(o)
	if !o.DryRun {
		var err error
		if r.lease, err = takeLease(ctx, s.bucket, s.name, s.now); err != nil {
			return r.snapshot(), err
		}
		defer r.release(ctx)
	}
	err := r.all(ctx)
	r.report.EndedUS, r.report.Done = s.now().UnixMicro(), err == nil
	if err != nil {
		err = fmt.Errorf("sweep: %w", err)
	}
	return r.snapshot(), err
}

func (s *Sweeper) newRun(o Options) *run {
	started := s.now()
	return &run{
		Sweeper: s, options: o, started: started,
		report: schemas.SweepReport{DryRun: o.DryRun, StartedUS: started.UnixMicro()},
		tally:  map[garbageOf]*schemas.Garbage{}, kept: map[string]*schemas.ObjectCount{}, spared: map[string]bool{},
	}
}

// run is one sweep.
type run struct {
	*Sweeper
	options Options
	started time.Time
	lease   *lease // nil in a dry run
	report  schemas.SweepReport
	tally   map[garbageOf]*schemas.Garbage
	// kept is what each tenant's objects are that stay.
	kept map[string]*schemas.ObjectCount
	// spared are the jobs without a record of which something young was left.
	spared map[string]bool
	// job is the one whose objects come now: they lie side by side.
	job jobSeen
	// garbage of the present page; inputs wait until there are some more.
	garbage, inputs []garbage
	needed          needed
}

type garbageOf struct{ tenant, kind string }

// garbage is an object to be deleted.
type garbage struct {
	objstore.Info
	garbageOf
}

func (r *run) all(ctx context.Context) error {
	// What is not known from here on was created later, and is younger than the grace.
	if err := r.jobs.CatchUp(ctx); err != nil {
		return err
	}
	marked, err := r.markers(ctx)
	if err != nil {
		return err
	}
	if err := r.list(ctx); err != nil {
		return err
	}
	if err := r.deleteInputs(ctx); err != nil {
		return err
	}
	if r.lease == nil {
		return nil
	}
	if err := r.free(ctx, marked); err != nil {
		return err
	}
	return r.measured(ctx)
}

// list goes through all objects in the order of their keys.
func (r *run) list(ctx context.Context) error {
	for after := ""; ; {
		begin := time.Now()
		page, err := r.store.List(ctx, "", after, objstore.MaxList)
		if err != nil {
			return err
		}
		for _, info := range page {
			if err := r.judge(ctx, info); err != nil {
				return err
			}
		}
		if err := r.deletePage(ctx); err != nil {
			return err
		}
		if r.options.Progress != nil {
			r.options.Progress(r.snapshot())
		}
		if len(page) < objstore.MaxList {
			return nil
		}
		after = page[len(page)-1].Key
		if r.options.Gentle {
			if !pause(ctx, time.Since(begin)) {
				return ctx.Err()
			}
		}
	}
}

// count notes garbage, and whether it went.
func (r *run) count(g garbage) {
	t := r.tally[g.garbageOf]
	if t == nil {
		t = &schemas.Garbage{Kind: g.kind, Tenant: g.tenant, Examples: []string{}}
		r.tally[g.garbageOf] = t
	}
	t.Add(g.Size)
	if len(t.Examples) < schemas.MaxGarbageExamples {
		t.Examples = append(t.Examples, g.Key)
	}
	if r.lease != nil {
		r.metrics.deleted(g.kind, g.Size)
	}
}

// keep notes that an object stays.
func (r *run) keep(tenant string, info objstore.Info) {
	if tenant == "" {
		return
	}
	k := r.kept[tenant]
	if k == nil {
		k = &schemas.ObjectCount{}
		r.kept[tenant] = k
	}
	k.Add(info.Size)
}

// snapshot is the report as it is now.
func (r *run) snapshot() schemas.SweepReport {
	report := r.report
	report.Garbage = make([]schemas.Garbage, 0, len(r.tally))
	for _, g := range r.tally {
		one := *g
		one.Examples = slices.Clone(g.Examples)
		report.Garbage = append(report.Garbage, one)
	}
	slices.SortFunc(report.Garbage, byTenantAndKind)
	return report
}

const releaseTimeout = 10 * time.Second

func (r *run) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := r.lease.release(ctx); err != nil && !errors.Is(err, errLeaseLost) {
		r.log.Warn("the sweep's lease is not given back before its time", "err", err)
	}
}
