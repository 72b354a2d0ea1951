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
	var mu sync.Mutex
	var submits, totals []time.Duration
	work := make(chan int)
	var group sync.WaitGroup
	b.ResetTimer()
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
	for i := range b.N {
		work <- i
	}
	close(work)
	group.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	report(b, "submit", submits)
	report(b, "total", totals)
}

func report(b *testing.B, what string, all []time.Duration) {
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, what+"-p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, what+"-p99-ms")
}
