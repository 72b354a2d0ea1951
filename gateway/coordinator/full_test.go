package coordinator

import (
	"testing"
	"time"
)

func TestOutflow(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	var o outflow
	if got := o.wait(now); got != unknownOutflowWait {
		t.Errorf("of an unknown tenant %s", got)
	}
	for range 100 {
		now = now.Add(5 * time.Second)
		o.left(now)
	}
	if got := o.wait(now); got < 4*time.Second || got > 5*time.Second {
		t.Errorf("one every 5 s: %s", got)
	}
	if got := o.wait(now.Add(20 * time.Second)); got != 20*time.Second {
		t.Errorf("none for 20 s: %s", got)
	}
	if got := o.wait(now.Add(time.Hour)); got != maxOutflowWait {
		t.Errorf("none for an hour: %s", got)
	}
	for range 100 {
		now = now.Add(time.Millisecond)
		o.left(now)
	}
	if got := o.wait(now); got != minOutflowWait {
		t.Errorf("a thousand a second: %s", got)
	}
}
