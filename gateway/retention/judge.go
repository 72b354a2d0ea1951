package retention

import (
	"cmp"
	"context"
	"errors"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// jobSeen is a job whose record was read because the index did not account for an object of it.
type jobSeen struct {
	tenant, id string
	// record is nil if there is none.
	record *schemas.Record
}

// judge decides about one object: it stays, or it is put on a list to be deleted.
func (r *run) judge(ctx context.Context, info objstore.Info) error {
	r.report.Listed.Add(info.Size)
	p, ok := placeOf(info.Key)
	if !ok {
		r.report.Foreign.Add(info.Size)
		return nil
	}
	if p.input {
		return r.judgeInput(ctx, p, info)
	}
	kind, err := r.kind(ctx, p, info)
	switch {
	case err != nil:
		return err
	case kind == "":
		r.keep(p.tenant, info)
	case r.young(info):
		r.report.Young.Add(info.Size)
		r.keep(p.tenant, info)
		if kind == schemas.GarbageNoRecord {
			r.spared[schemas.RecordKey(p.tenant, p.job)] = true
		}
	default:
		r.garbage = append(r.garbage, garbage{info, garbageOf{p.tenant, kind}})
	}
	return nil
}

func (r *run) young(info objstore.Info) bool {
	return r.started.Sub(info.ModTime) < r.options.Grace
}

// kind says what kind of garbage an object is that is no input; empty for none.
func (r *run) kind(ctx context.Context, p place, info objstore.Info) (string, error) {
	if p.temporary {
		if r.started.Sub(info.ModTime) < tmpLife {
			return "", nil
		}
		return schemas.GarbageTemporary, nil
	}
	if g, known := r.jobs.Glance(p.tenant, p.job); known && accounted(g, p) {
		return "", nil
	}
	rec, err := r.record(ctx, p)
	if err != nil {
		return "", err
	}
	return r.kindOf(rec, p), nil
}

// accounted reports whether the index alone says that the object stays. It may
// say so wrongly of a job that has just ended: then the next sweep knows better.
func accounted(g coordinator.Glance, p place) bool {
	if p.attempt == 0 {
		return p.name == plainSpec
	}
	return !g.Ended || g.Won == p.attempt
}

// plainSpec is the name of most jobs' specification.
const plainSpec = "spec.json"

// record reads a job's record from the bucket's leader, once for all of its objects.
func (r *run) record(ctx context.Context, p place) (*schemas.Record, error) {
	if r.job.tenant == p.tenant && r.job.id == p.job {
		return r.job.record, nil
	}
	rec, err := r.jobs.Get(ctx, p.tenant, p.job)
	if err != nil && !errors.Is(err, coordinator.ErrNotFound) {
		return nil, err
	}
	r.job = jobSeen{tenant: p.tenant, id: p.job}
	if err == nil {
		r.job.record = &rec
	}
	return r.job.record, nil
}

// kindOf judges an object of a job by the record that the job has, or by its absence.
func (r *run) kindOf(rec *schemas.Record, p place) string {
	switch {
	case p.attempt > 0 && r.jobs.Shared(p.tenant, p.job):
		return "" // another job has this one's result
	case rec == nil:
		return schemas.GarbageNoRecord
	case p.attempt == 0 && p.name == rec.Spec.Name:
		return ""
	case p.attempt == 0:
		return schemas.GarbageSpec
	case !rec.State.Terminal():
		return "" // any attempt may still be asked about
	case rec.Accepted() != p.attempt:
		return schemas.GarbageLostAttempt
	case rec.PurgedUS != 0 && rec.PurgedUS < r.started.Add(-r.options.Grace).UnixMicro():
		return schemas.GarbageExpired
	}
	return ""
}

func byTenantAndKind(a, b schemas.Garbage) int {
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Kind, b.Kind))
}
