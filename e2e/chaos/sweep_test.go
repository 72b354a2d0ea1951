package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/program-explorer/pe/e2e/chaos/check"
	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

const (
	// sweptWithin is how long objects of lost attempts may still arrive once all jobs have ended.
	sweptWithin = time.Minute
	// sweepTakenWithin is longer than a gateway that was killed as it swept keeps others out.
	sweepTakenWithin = 4 * time.Minute
	// toldWithin is how long a gateway may take to hear of another one's sweep.
	toldWithin = 30 * time.Second
)

// sweep has a gateway delete what nothing refers to, until nothing is left, and
// notes what is all the same, and what gateways then say of each tenant.
func (r *run) sweep(ctx context.Context) error {
	client, err := producer.New(producer.Config{Server: r.system.urls[0], Token: operator, Patience: 2 * time.Minute})
	if err != nil {
		return err
	}
	var last, left schemas.SweepReport
	for begin := time.Now(); ; sleep(ctx, time.Second) {
		if last, err = sweepOnce(ctx, client, false); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		if left, err = sweepOnce(ctx, client, true); err != nil {
			return fmt.Errorf("dry run of a sweep: %w", err)
		}
		if len(left.Garbage) == 0 || time.Since(begin) > sweptWithin {
			break
		}
	}
	swept := true
	r.history.add(check.Line{Swept: &swept})
	for _, g := range left.Garbage {
		r.history.add(check.Line{Unreferenced: &check.Unreferenced{Tenant: g.Tenant, Kind: g.Kind, Objects: g.Objects, Example: g.Examples[0]}})
	}
	return r.usages(ctx, last.StartedUS)
}

// sweepOnce waits for whoever sweeps already: each gateway does so by itself.
func sweepOnce(ctx context.Context, client *producer.Client, dry bool) (schemas.SweepReport, error) {
	none := int64(0)
	for begin := time.Now(); ; sleep(ctx, time.Second) {
		report, err := client.Sweep(ctx, schemas.SweepRequest{DryRun: dry, GraceMS: &none}, nil)
		var p *schemas.ProblemDocument
		if !errors.As(err, &p) || p.Status != http.StatusConflict || time.Since(begin) > sweepTakenWithin {
			return report, err
		}
	}
}

// usages notes what every gateway says of every tenant, once it has heard of the sweep.
func (r *run) usages(ctx context.Context, swept int64) error {
	for gateway := range r.system.urls {
		for tenant := range tenants {
			u, err := r.clients.at(gateway, tenant).Usage(ctx)
			for begin := time.Now(); err == nil && u.CountedUS < swept && time.Since(begin) < toldWithin; sleep(ctx, 100*time.Millisecond) {
				u, err = r.clients.at(gateway, tenant).Usage(ctx)
			}
			if err != nil {
				return fmt.Errorf("usage of tenant %s: %w", tenant, err)
			}
			r.history.add(check.Line{Usage: &check.Usage{Tenant: tenant, Queued: u.Queued, Running: u.Running, StoredBytes: u.StoredBytes}})
		}
	}
	return nil
}
