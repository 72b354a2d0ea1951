package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// BenchmarkCacheHit measures a submission that the cache answers, from the
// client's request to the whole answer: through HTTP, with every write synced.
func BenchmarkCacheHit(b *testing.B) {
	for _, size := range []int{100, 10_000, 100_000} {
		for _, clients := range []int{1, 16} {
			b.Run(fmt.Sprintf("spec=%d/clients=%d", size, clients), func(b *testing.B) { benchmarkCacheHit(b, size, clients) })
		}
	}
}

func benchmarkCacheHit(b *testing.B, size, clients int) {
	l := live(b)
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = clients
	spec := fmt.Sprintf(`{"image":"gcc","cache":"use","files":{"a":%q}}`, strings.Repeat("a", size))
	if job, status := l.post(spec, "?wait=30s"); status != http.StatusOK || job.State != schemas.StateSucceeded {
		b.Fatalf("%d %+v", status, job)
	}
	for job, _ := l.post(spec, ""); job.Cached == nil; job, _ = l.post(spec, "") {
		time.Sleep(time.Millisecond)
	}
	b.ResetTimer()
	took := make([]time.Duration, b.N)
	var group sync.WaitGroup
	work := make(chan int)
	for range clients {
		group.Go(func() {
			for i := range work {
				begin := time.Now()
				if job, status := l.post(spec, ""); status != http.StatusOK || job.Cached == nil || job.Result == nil {
					b.Errorf("%d %+v", status, job)
				}
				took[i] = time.Since(begin)
			}
		})
	}
	for i := range b.N {
		work <- i
	}
	close(work)
	group.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
