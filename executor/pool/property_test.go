package pool

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// A day in the life of a pool, at random: what the host asserts at each step
// (never over budget, nothing handed out or closed twice) holds whatever comes.
func TestAnyDemand(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			var pressed atomic.Bool
			c := Config{
				Budget: 200 + r.Int64N(3000), DefaultMin: r.IntN(2), DefaultMax: 1 + r.IntN(8), Makers: 1 + r.IntN(4),
				MaxAge: 20 * time.Minute, Pressure: pressed.Load,
			}
			run(t, c, func(h *host, p *Pool[*machine]) {
				kinds := make([]Kind[*machine], 2+r.IntN(12))
				for i := range kinds {
					kinds[i] = h.kind(fmt.Sprint(i), 20+r.Int64N(200), r.Int64N(200), time.Duration(1+r.IntN(5000))*time.Millisecond)
				}
				for range 1500 {
					disturb(r, h, p, kinds, &pressed)
					pass(time.Duration(r.ExpFloat64() * float64(time.Second)))
					bounded(t, p)
				}
			})
		})
	}
}

// disturb does one thing of all that may happen to a pool.
func disturb(r *rand.Rand, h *host, p *Pool[*machine], kinds []Kind[*machine], pressed *atomic.Bool) {
	// The lower its number, the more a kind is in demand.
	k := kinds[int(float64(len(kinds))*r.Float64()*r.Float64()*r.Float64())]
	switch n := r.IntN(1000); {
	case n < 5:
		p.Evict(k.Key)
	case n < 15:
		h.fail(k.Key, r.IntN(2) == 0)
	case n < 20:
		pressed.Store(!pressed.Load())
	case n < 30:
		h.killOne(r.IntN(20))
	case n < 33:
		pass(time.Duration(r.IntN(int(20 * time.Minute))))
	default:
		for range 1 + r.IntN(4) {
			h.take(p, k)
		}
	}
}

// bounded checks what the pool says of itself.
func bounded(t *testing.T, p *Pool[*machine]) {
	t.Helper()
	s := p.Stats()
	if s.Used > s.Budget {
		t.Errorf("%d bytes used of %d", s.Used, s.Budget)
	}
	making := 0
	for _, k := range s.Kinds {
		making += k.Making
		if k.Waiting > k.Max || k.Target > k.Max || k.Target < 0 {
			t.Errorf("over Max: %+v", k)
		}
	}
	if making > p.cfg.Makers {
		t.Errorf("%d machines are being made, want at most %d", making, p.cfg.Makers)
	}
}

// Machines of one size each, a budget too small for all, and demand at random:
// when it has settled, no kind lacks a machine while a clearly colder one has
// more than its minimum, and nothing of the budget is left over.
func TestHottestFirst(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 2))
			const size = 100
			run(t, Config{Budget: size * (1 + r.Int64N(12)), Makers: 2}, func(h *host, p *Pool[*machine]) {
				var kinds []Kind[*machine]
				for i := range 2 + r.IntN(8) {
					k := h.kind(fmt.Sprint(i), size, 0, time.Duration(1+r.IntN(20))*time.Second)
					k.Min, k.Max = r.IntN(2), 1+r.IntN(6)
					kinds = append(kinds, k)
				}
				for range 600 {
					h.take(p, kinds[int(float64(len(kinds))*r.Float64()*r.Float64())])
					pass(time.Duration(r.ExpFloat64() * float64(time.Second) / 2))
				}
				pass(3 * time.Minute)
				fair(t, p.Stats(), size)
			})
		})
	}
}

// fair checks who has what. Kinds are in the order of their heat.
func fair(t *testing.T, s Stats, size int64) {
	t.Helper()
	for i, hot := range s.Kinds {
		if hot.Waiting >= hot.Target {
			continue
		}
		if s.Budget-s.Used >= size {
			t.Errorf("kind %s has %d of %d, and %d bytes are free", hot.Key, hot.Waiting, hot.Target, s.Budget-s.Used)
		}
		for _, cold := range s.Kinds[i+1:] {
			if hot.Rate > hotter*cold.Rate && cold.Waiting > cold.Min {
				t.Errorf("kind %s (%.3f/s) has %d of %d, and the colder %s (%.3f/s) has %d, its minimum being %d",
					hot.Key, hot.Rate, hot.Waiting, hot.Target, cold.Key, cold.Rate, cold.Waiting, cold.Min)
			}
			if hot.Waiting < hot.Min && hot.Rate > hotter*cold.Rate && cold.Waiting > 0 {
				t.Errorf("kind %s lacks its minimum, and the colder %s has %d", hot.Key, cold.Key, cold.Waiting)
			}
		}
		for _, other := range s.Kinds {
			if hot.Waiting < hot.Min && other.Waiting > other.Min {
				t.Errorf("kind %s lacks its minimum, and %s has more than its own", hot.Key, other.Key)
			}
		}
	}
}
