package executor

import (
	"slices"
	"sync"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// timeline collects the spans of one attempt. Stages may overlap: a machine
// starts while its inputs arrive.
type timeline struct {
	mu    sync.Mutex
	spans []schemas.Span
	// stage hears of each beginning, for people who watch.
	stage func(name string)
}

// begin starts a span; the function that it returns ends it.
func (t *timeline) begin(name string) (end func()) {
	start := time.Now()
	t.announce(name)
	return func() { t.add(name, start, time.Now()) }
}

func (t *timeline) announce(name string) {
	if t.stage != nil {
		t.stage(name)
	}
}

func (t *timeline) add(name string, start, end time.Time) {
	t.addSpans(schemas.Span{Name: name, StartUS: start.UnixMicro(), EndUS: end.UnixMicro()})
}

func (t *timeline) addSpans(spans ...schemas.Span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spans = append(t.spans, spans...)
}

// sorted returns the spans in the order of their starts.
func (t *timeline) sorted() []schemas.Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	spans := slices.Clone(t.spans)
	slices.SortStableFunc(spans, func(a, b schemas.Span) int { return int(a.StartUS - b.StartUS) })
	return spans
}
