package main

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/program-explorer/pe/schemas"
)

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 3, 2}, 7: {7}} {
		if got := median(values); got != want {
			t.Errorf("median of %v: got %v, want %v", values, got, want)
		}
	}
}

func TestUnexplainedIsWhatNoSpanCovers(t *testing.T) {
	at := func(us int64) time.Time { return time.UnixMicro(us) }
	span := func(start, end int64) schemas.Span { return schemas.Span{StartUS: start, EndUS: end} }
	cases := map[string]struct {
		spans []schemas.Span
		want  time.Duration
	}{
		"none":                {nil, 100},
		"all":                 {[]schemas.Span{span(0, 100)}, 0},
		"a gap in the middle": {[]schemas.Span{span(0, 40), span(60, 100)}, 20},
		"out of order":        {[]schemas.Span{span(60, 100), span(0, 40)}, 20},
		"overlapping":         {[]schemas.Span{span(0, 50), span(10, 20), span(40, 100)}, 0},
		"beyond both ends":    {[]schemas.Span{span(-50, 30), span(90, 150)}, 60},
		"only outside":        {[]schemas.Span{span(-50, -10), span(150, 160)}, 100},
	}
	for name, c := range cases {
		if got := unexplained(at(0), at(100), c.spans); got != c.want*time.Microsecond {
			t.Errorf("%s: got %v, want %d µs", name, got, c.want)
		}
	}
}

// stub measures a constant.
func stub(row string, ms float64, log *[]string) contestant {
	return contestant{
		rows:  []string{row},
		setup: func(context.Context) (func() error, error) { return nil, nil },
		once: func(context.Context) (sample, error) {
			*log = append(*log, row)
			return sample{ms: map[string]float64{row: ms}}, nil
		},
	}
}

func TestRowsAreInterleavedAndCompared(t *testing.T) {
	var log []string
	all := []contestant{stub("job.cold.gcc_version", 200, &log), stub("other", 1, &log), stub("podman.gcc_version", 100, &log)}
	filter := regexp.MustCompile("^job")
	m, err := interleave(t.Context(), pick(all, filter), 2)
	if err != nil {
		t.Fatal(err)
	}
	// What a wanted row is compared with runs too; the first round warms up.
	job, podman := "job.cold.gcc_version", "podman.gcc_version"
	if diff := cmp.Diff([]string{job, podman, job, podman, job, podman}, log); diff != "" {
		t.Error(diff)
	}
	want := []Row{{Name: job, Unit: "ms", Median: 200, Min: 200, Max: 200, Runs: 2, Against: podman, Ratio: 2}}
	if diff := cmp.Diff(want, summarize(m, filter)); diff != "" {
		t.Error(diff)
	}
}

func TestStagesComeInTheOrderOfAJobsLife(t *testing.T) {
	got := inOrder([]string{"vm.boot.amd64", "stage.unexplained", "stage.running", "stage.queued", "job.cold.gcc_version"})
	want := []string{"job.cold.gcc_version", "vm.boot.amd64", "stage.queued", "stage.running", "stage.unexplained"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
