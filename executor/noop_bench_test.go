package executor_test

import (
	"context"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/noop"
	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// TestNoopRunner takes a job that runs nothing through everything else.
func TestNoopRunner(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "idle")
	runner, err := noop.New(noop.Config{Arch: "amd64", ExitCode: 4, Stdout: []byte("as told")})
	if err != nil {
		t.Fatal(err)
	}
	w.executor("idle", runner, nil)
	job := spec()
	job.Requires = runner.Requires()
	rec := w.wait(w.submit(job), schemas.StateFailed)
	if r := w.result(rec); *r.Outcome.ExitCode != 4 || r.Stdout.Text != "as told" || r.RanOn.Kernel != noop.Kernel {
		t.Errorf("result %+v", r)
	}
}

// BenchmarkControlPlane takes jobs from submission to their accepted result, 64
// at once, every write synced, with everything real but the machines.
func BenchmarkControlPlane(b *testing.B) {
	w := newWorld(b, "idle")
	runner, err := noop.New(noop.Config{Arch: "amd64"})
	if err != nil {
		b.Fatal(err)
	}
	stages := prometheus.NewRegistry()
	w.executor("idle", runner, func(c *executor.Config) { c.Slots, c.Metrics = 32, stages })
	job := spec()
	job.Requires = runner.Requires()
	submission := coordinator.Submission{Tenant: schemas.SingleTenant, Spec: job, Image: imageRef()}
	jobs := make(chan struct{})
	var clients sync.WaitGroup
	for range 64 {
		clients.Go(func() {
			for range jobs {
				if err := submitAndWait(w, submission); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for b.Loop() {
		jobs <- struct{}{}
	}
	close(jobs)
	clients.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	reportStages(b, stages)
}

// reportStages tells where the jobs' time went.
func reportStages(b *testing.B, stages *prometheus.Registry) {
	b.Helper()
	families, err := stages.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "pe_executor_stage_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			mean := m.GetHistogram().GetSampleSum() / float64(m.GetHistogram().GetSampleCount())
			b.ReportMetric(1000*mean, "ms-"+m.GetLabel()[0].GetValue())
		}
	}
}

func submitAndWait(w *world, s coordinator.Submission) error {
	rec, _, err := w.Submit(context.Background(), s)
	if err != nil {
		return err
	}
	_, err = w.Wait(context.Background(), rec.Tenant, rec.ID, func(r schemas.Record) bool { return r.State.Terminal() })
	return err
}
