package executor

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// timeline collects the spans of one attempt, one for each stage. Together they
// leave nothing of the attempt's time unexplained: a stage of the executor's own
// begins where the one before it ended. They may overlap, because a machine
// starts while its inputs arrive.
type timeline struct {
	mu    sync.Mutex
	spans []schemas.Span
	// stage hears of each beginning, for people who watch.
	stage func(name string)
	told  string
}

// begin starts a stage, or continues the one of that name; the function that it
// returns ends it.
func (t *timeline) begin(name string) (end func()) {
	t.announce(name)
	start := t.last()
	return func() { t.add(schemas.Span{Name: name, StartUS: start, EndUS: time.Now().UnixMicro()}) }
}

// announce tells of a stage that begins, once.
func (t *timeline) announce(name string) {
	t.mu.Lock()
	news := name != t.told
	t.told = name
	t.mu.Unlock()
	if news && t.stage != nil {
		t.stage(name)
	}
}

// last is the end of what is known so far, or now.
func (t *timeline) last() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.spans) == 0 {
		return time.Now().UnixMicro()
	}
	end := t.spans[0].EndUS
	for _, s := range t.spans {
		end = max(end, s.EndUS)
	}
	return end
}

// add adds spans, each extending the one of its name, if there is one. Clocks
// of two machines differ and the own one may be set: no span ends before it starts.
func (t *timeline) add(spans ...schemas.Span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range spans {
		s.EndUS = max(s.StartUS, s.EndUS)
		i := slices.IndexFunc(t.spans, func(have schemas.Span) bool { return have.Name == s.Name })
		if i < 0 {
			t.spans = append(t.spans, s)
			continue
		}
		t.spans[i].StartUS = min(t.spans[i].StartUS, s.StartUS)
		t.spans[i].EndUS = max(t.spans[i].EndUS, s.EndUS)
	}
}

// sorted returns the spans in the order of their starts.
func (t *timeline) sorted() []schemas.Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	spans := slices.Clone(t.spans)
	slices.SortStableFunc(spans, func(a, b schemas.Span) int { return cmp.Compare(a.StartUS, b.StartUS) })
	return spans
}
