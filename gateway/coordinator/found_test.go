package coordinator

import (
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/fleet"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore/dir"
)

// slackFound is what goes beside the clock: a heartbeat's way, and the write that
// takes the attempt back.
const slackFound = 5 * time.Second

// TestLostWithin45Seconds computes from the configuration how long at most it
// takes until a gateway that listens finds an executor, or an attempt, lost.
func TestLostWithin45Seconds(t *testing.T) {
	t.Parallel()
	c, err := Config{Queue: &jobqueue.Queue{}, Store: &dir.Store{}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	const most = 45 * time.Second
	if silent := c.Lease + c.look() + slackFound; silent > most {
		t.Errorf("a silent executor is found lost after up to %s", silent)
	}
	// The first heartbeat without it may have left before the claim's answer arrived.
	if missing := (maxMissed+1)*c.Beat + slackFound; missing > most {
		t.Errorf("an attempt that its executor forgot is found lost after up to %s", missing)
	}
}

// TestLossTimeline plays the clock of a gateway, with looks at the pace of the
// default configuration: when is an executor lost that was last heard at 0, whatever befalls
// the observer meanwhile?
func TestLossTimeline(t *testing.T) {
	t.Parallel()
	c, err := Config{Queue: &jobqueue.Queue{}, Store: &dir.Store{}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	every := c.look()
	type cut struct{ from, to time.Duration }
	for _, test := range []struct {
		name string
		cuts []cut // the connection is down
		naps []cut // the process does not run
		// The executor is lost after least, and by most, seen from its last heartbeat.
		least, most time.Duration
	}{
		{name: "a steady observer", least: c.Lease, most: 45 * time.Second},
		{name: "cut off for a moment", cuts: []cut{{20 * time.Second, 22 * time.Second}}, least: 20*time.Second + c.Lease, most: 22*time.Second + 45*time.Second},
		{name: "cut off again and again", cuts: []cut{{10 * time.Second, 12 * time.Second}, {35 * time.Second, 38 * time.Second}}, least: 35*time.Second + c.Lease, most: 38*time.Second + 45*time.Second},
		{name: "cut off for long", cuts: []cut{{5 * time.Second, 300 * time.Second}}, least: 300*time.Second + c.Lease, most: 345 * time.Second},
		{name: "paused for longer than a lease", naps: []cut{{10 * time.Second, 80 * time.Second}}, least: 80*time.Second + c.Lease, most: 125 * time.Second},
		{name: "paused and cut off", naps: []cut{{10 * time.Second, 50 * time.Second}}, cuts: []cut{{52 * time.Second, 60 * time.Second}}, least: 60*time.Second + c.Lease, most: 105 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			clock := fleet.NewClock(c.Lease, every)
			epoch := uint64(1)
			within := func(cuts []cut, at time.Duration) bool {
				for _, c := range cuts {
					if at >= c.from && at < c.to {
						return true
					}
				}
				return false
			}
			down := false
			// It has listened for long before the executor was last heard.
			for at := -2 * c.Lease; at <= 10*time.Minute; at += every {
				if within(test.naps, at) {
					continue
				}
				isDown := within(test.cuts, at)
				if down && !isDown {
					epoch++
				}
				down = isDown
				clock.Look(start.Add(at), !down, epoch)
				if at >= 0 && clock.Expired(start.Add(at), start) {
					if at < test.least-every || at > test.most {
						t.Errorf("lost after %s, want %s to %s", at, test.least, test.most)
					}
					return
				}
			}
			t.Error("never found lost")
		})
	}
}
