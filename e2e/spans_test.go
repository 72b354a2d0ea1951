package e2e

import (
	"slices"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// mostUnexplained is the share of a job's time that no span may leave open.
const mostUnexplained = 0.05

// TestSpansAccountForTheJob from its submission to its end.
func TestSpansAccountForTheJob(t *testing.T) {
	t.Parallel()
	s := shared(t)
	s.busybox(t, "true") // the image is there now, or its making would hide the rest
	job := s.busybox(t, "echo x > /output/x")
	if job.Result == nil {
		t.Fatalf("state %s, failure %+v", job.State, job.Failure)
	}
	spans := job.Result.Spans
	whole, open := job.Ended-job.Created, unexplained(job.Created, job.Ended, spans)
	t.Logf("%d of %d µs are explained by no span", open, whole)
	if float64(open) > mostUnexplained*float64(whole) {
		t.Errorf("%d of %d µs are explained by no span, want at most %.0f%%: %+v", open, whole, 100*mostUnexplained, spans)
	}
	var names []string
	for _, span := range spans {
		names = append(names, span.Name)
		if span.EndUS < span.StartUS {
			t.Errorf("span %+v ends before it begins", span)
		}
	}
	// Which of the two there are tells how the machine came to be; one from the pool has neither.
	start := []string{schemas.SpanBooted, schemas.SpanRestored}
	for _, name := range schemas.SpanNames {
		if !slices.Contains(start, name) && !slices.Contains(names, name) {
			t.Errorf("no span %s among %v", name, names)
		}
	}
	if how := job.Result.RanOn.Start; slices.Contains(names, schemas.SpanRestored) != (how == schemas.StartRestored) {
		t.Errorf("a machine that was %s, with spans %v", how, names)
	}
}

// unexplained is how much of the time between two instants no span covers.
func unexplained(from, to int64, spans []schemas.Span) int64 {
	spans = slices.Clone(spans)
	slices.SortFunc(spans, func(a, b schemas.Span) int { return int(a.StartUS - b.StartUS) })
	open, at := int64(0), from
	for _, s := range spans {
		open += max(0, min(s.StartUS, to)-at)
		at = max(at, min(s.EndUS, to))
	}
	return open + max(0, to-at)
}
