package pool

import (
	"math"
	"time"
)

const (
	// halfLife is how long it takes until a demand counts half.
	halfLife = 10 * time.Minute
	// youth is the least time that a rate is said of: what came in the first
	// seconds of a kind says little of the rest of its life.
	youth = time.Minute
	// slack is how much the demand must have fallen before a machine too many is
	// ended: without it, a demand on the edge of two targets would make and end
	// machines in turn.
	slack = 1.25
)

// demand is how often a kind was asked for, lately.
type demand struct {
	count float64 // at the time of at
	at    time.Time
	since time.Time // the first one
}

// add counts one demand.
func (d *demand) add(now time.Time) {
	if d.since.IsZero() {
		d.since = now
	}
	d.count, d.at = d.decayed(now)+1, now
}

func (d *demand) decayed(now time.Time) float64 {
	return d.count * math.Exp2(-now.Sub(d.at).Seconds()/halfLife.Seconds())
}

// rate is demands per second. A decaying count knows a steady rate only after
// some half-lives; until then it is set right by how much it can have seen.
func (d *demand) rate(now time.Time) float64 {
	if d.since.IsZero() {
		return 0
	}
	age := max(now.Sub(d.since), youth)
	seen := 1 - math.Exp2(-age.Seconds()/halfLife.Seconds())
	return d.decayed(now) * math.Ln2 / halfLife.Seconds() / seen
}

// targets says how many machines should wait, and how many of those that do may
// stay, for a kind of which expected ones are asked for in the time that it takes
// to make one. One in recent use has at least one; one that is idle rounds down, to
// its minimum in the end.
func targets(expected float64, recent bool, low, high int) (target, keep int) {
	round := math.Floor
	if recent {
		round = func(x float64) float64 { return max(1, math.Ceil(x)) }
	}
	bound := func(x float64) int { return max(low, int(min(round(x), float64(high)))) }
	return bound(expected), bound(expected * slack)
}
