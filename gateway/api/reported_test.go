package api

import (
	"testing"

	"github.com/program-explorer/pe/schemas"
)

func TestReportedSpanEndsWithTheJob(t *testing.T) {
	t.Parallel()
	spans := []schemas.Span{{Name: schemas.SpanRunning, StartUS: 10, EndUS: 30}, {Name: schemas.SpanStaged, StartUS: 5, EndUS: 12}}
	got := reported(spans, 50)
	if want := (schemas.Span{Name: schemas.SpanReported, StartUS: 30, EndUS: 50}); len(got) != 3 || got[2] != want {
		t.Errorf("spans %+v, want %+v last", got, want)
	}
	for name, ended := range map[string]int64{"clock ahead": 20, "at once": 30} {
		if got := reported(spans, ended); len(got) != 2 {
			t.Errorf("%s: spans %+v", name, got)
		}
	}
	if got := reported(nil, 50); got != nil {
		t.Errorf("without spans: %+v", got)
	}
}
