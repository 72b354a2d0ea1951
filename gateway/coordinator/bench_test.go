package coordinator_test

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// BenchmarkJobs measures submit → done through a real server that syncs every
// write, with executors that run nothing.
func BenchmarkJobs(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("store=none/clients=%d", clients), func(b *testing.B) { benchmarkJobs(b, clients, &memory{}) })
		b.Run(fmt.Sprintf("store=dir/clients=%d", clients), func(b *testing.B) { benchmarkJobs(b, clients, nil) })
	}
}

func benchmarkJobs(b *testing.B, clients int, store objstore.Store) {
	ids := []string{"e0", "e1", "e2", "e3"}
	w := newWorld(b, ids...)
	w.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	if store != nil {
		w.store = store
	}
	g := w.gateway(nil)
	for _, id := range ids {
		w.executor(id, 8, nil)
	}
	w.wait(g, w.submit(g, spec()), schemas.StateSucceeded) // makes the pool
	b.ResetTimer()
	submits, totals := w.drive(g, clients, b.N, 0)
	b.StopTimer()
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "jobs/s")
	report(b, "submit", submits)
	report(b, "total", totals)
	if clients == 64 {
		submits, _ = w.drive(g, clients, max(b.N/2, 1), time.Duration(2*float64(time.Second)/rate))
		report(b, "halfload-submit", submits)
	}
}

// drive has clients submit and wait for n jobs, one begun every so often.
func (w *world) drive(g *gateway, clients, n int, every time.Duration) (submits, totals []time.Duration) {
	var mu sync.Mutex
	work := make(chan int, n)
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for range work {
				begin := time.Now()
				rec := w.submit(g, spec())
				submitted := time.Since(begin)
				w.wait(g, rec, schemas.StateSucceeded)
				mu.Lock()
				submits, totals = append(submits, submitted), append(totals, time.Since(begin))
				mu.Unlock()
			}
		})
	}
	begin := time.Now()
	for i := range n {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * every)))
		work <- i
	}
	close(work)
	group.Wait()
	return submits, totals
}

func report(b *testing.B, what string, all []time.Duration) {
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, what+"-p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, what+"-p99-ms")
}
