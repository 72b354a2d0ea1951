package coordinator_test

import (
	"testing"

	"github.com/program-explorer/pe/schemas"
)

func TestWholeLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	w.executor("e1", 1, nil)
	rec := w.wait(g, w.submit(g, spec()), schemas.StateSucceeded)
	if len(rec.Attempts) != 1 || rec.Attempts[0].N != 1 || rec.Attempts[0].Executor != "e1" || rec.Result == nil || rec.EndedUS == 0 {
		t.Errorf("record = %+v", rec)
	}
}
