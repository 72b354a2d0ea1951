package pool

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// demands asks for a kind so many times, in a rhythm.
func demands(h *host, p *Pool[*machine], k Kind[*machine], n int, every time.Duration) {
	for range n {
		h.take(p, k)
		pass(every)
	}
}

func TestTargetFollowsDemand(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 10000, DefaultMax: 6, Makers: 8}, func(h *host, p *Pool[*machine]) {
		k := h.kind("a", 100, 0, 4*time.Second)
		demands(h, p, k, 600, time.Second) // a rate of 1/s, and 4 s each
		if a := p.Stats().of("a"); a.Target < 4 || a.Target > 5 || a.Rate < 0.9 || a.Rate > 1.1 {
			t.Errorf("at one a second: %+v", a)
		}
		demands(h, p, k, 600, 500*time.Millisecond)
		if a := p.Stats().of("a"); a.Target != 6 {
			t.Errorf("at two a second, Max being 6: %+v", a)
		}
		pass(20 * time.Minute)
		if a := p.Stats().of("a"); a.Waiting > 2 || a.Waiting < 1 {
			t.Errorf("20 minutes later: %+v", a)
		}
		pass(30 * time.Minute)
		waits(t, p, map[string]int{})
	})
}

func TestHotterKindsHaveTheBudget(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 350}, func(h *host, p *Pool[*machine]) {
		cold, hot := h.kind("cold", 100, 50, 10*time.Second), h.kind("hot", 100, 50, 10*time.Second)
		demands(h, p, cold, 12, 5*time.Second)
		pass(time.Minute)
		waits(t, p, map[string]int{"cold": 2})
		demands(h, p, hot, 60, time.Second)
		pass(time.Minute)
		waits(t, p, map[string]int{"cold": 0, "hot": 3})
		if h.released("cold") != 1 {
			t.Errorf("what the cold kind's machines share is held: %v", h.released("cold"))
		}
		// The minimum of a kind that nobody asks for comes before another's further machines.
		calm := h.kind("calm", 100, 0, time.Second)
		calm.Min, calm.Max = 1, 1
		p.Want(calm)
		pass(time.Minute)
		waits(t, p, map[string]int{"calm": 1, "cold": 0, "hot": 2})
	})
}

func TestAboutEquallyHotKindsDontThrash(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 200}, func(h *host, p *Pool[*machine]) {
		a, b := h.kind("a", 100, 0, time.Second), h.kind("b", 100, 0, time.Second)
		c := h.kind("c", 100, 0, time.Second)
		for range 100 {
			demands(h, p, a, 1, 5*time.Second)
			demands(h, p, b, 1, 5*time.Second)
			demands(h, p, c, 1, 5*time.Second)
		}
		ended := 0
		for _, m := range h.machines() {
			ended += m.closed
		}
		if ended > 3 {
			t.Errorf("%d of %d machines were ended for others", ended, len(h.machines()))
		}
	})
}

func TestWrongEstimateIsCorrected(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 0}, func(h *host, p *Pool[*machine]) {
		p.cfg.Budget = 1000 // the host would be broken once
		k := h.kind("a", 10, 0, time.Second)
		k.Min, k.Max = 8, 8
		k.Measure = func(*machine) int64 { return 300 }
		p.Want(k)
		pass(time.Minute)
		waits(t, p, map[string]int{"a": 3})
		if s := p.Stats(); s.Used != 900 || s.of("a").MachineBytes != 300 || len(h.machines()) != 3 {
			t.Errorf("%d made, %+v", len(h.machines()), s)
		}
	})
}

// A host that does not tell what machines cost is not filled with them.
func TestWithoutAMeasureTheEstimateStays(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 250}, func(h *host, p *Pool[*machine]) {
		k := h.kind("a", 100, 0, time.Second)
		k.Min, k.Max = 8, 8
		k.Measure = func(*machine) int64 { return 0 }
		p.Want(k)
		pass(time.Minute)
		waits(t, p, map[string]int{"a": 2})
	})
}

func TestAFailingKindDisplacesNothing(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 200}, func(h *host, p *Pool[*machine]) {
		bad, good := h.kind("bad", 100, 0, time.Second), h.kind("good", 100, 0, time.Second)
		bad.Min, bad.Max = 2, 2
		h.fail("bad", true)
		demands(h, p, bad, 100, time.Second)
		good.Min, good.Max = 2, 2
		p.Want(good)
		pass(time.Hour)
		waits(t, p, map[string]int{"bad": 0, "good": 2})
		if len(h.machines()) != 2 {
			t.Errorf("%d machines were made, want 2", len(h.machines()))
		}
	})
}

func TestMinimaShareTheMakers(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 1000}, func(h *host, p *Pool[*machine]) {
		hot, cold := h.kind("hot", 100, 0, time.Second), h.kind("cold", 100, 0, time.Second)
		hot.Min, hot.Max, cold.Min, cold.Max = 2, 2, 1, 1
		p.Want(hot)
		p.Want(cold)
		demands(h, p, hot, 100, 100*time.Millisecond)
		waits(t, p, map[string]int{"cold": 1, "hot": p.Stats().of("hot").Waiting})
	})
}

func TestPressure(t *testing.T) {
	t.Parallel()
	var pressed atomic.Bool
	registry := prometheus.NewRegistry()
	run(t, Config{Budget: 10000, Pressure: pressed.Load, Metrics: registry}, func(h *host, p *Pool[*machine]) {
		cold, hot := h.kind("cold", 100, 10, 100*time.Millisecond), h.kind("hot", 100, 10, 100*time.Millisecond)
		cold.Min, cold.Max, hot.Min, hot.Max = 4, 4, 4, 4
		demands(h, p, cold, 1, time.Second)
		demands(h, p, hot, 5, time.Second)
		pass(5 * time.Second)
		waits(t, p, map[string]int{"cold": 4, "hot": 4})
		pressed.Store(true)
		pass(1100 * time.Millisecond)
		waits(t, p, map[string]int{"cold": 2, "hot": 4})
		if m, ok := h.take(p, hot); !ok || m.key != "hot" {
			t.Error("what is there can't be taken under pressure")
		}
		pass(20 * time.Second)
		waits(t, p, map[string]int{"cold": 0, "hot": 0})
		if h.inUse() != 0 || h.released("cold") != 1 || h.released("hot") != 1 {
			t.Errorf("%d bytes are in use, released %v", h.inUse(), h.released("cold"))
		}
		text := scrape(t, registry)
		for _, want := range []string{`ended_total{kind="kind-cold",reason="pressure"} 4`, `ended_total{kind="kind-hot",reason="pressure"} 3`, "pool_pressed 1"} {
			if !strings.Contains(text, want) {
				t.Errorf("metrics lack %s:\n%s", want, text)
			}
		}
		pressed.Store(false)
		pass(restAfter - 2*time.Second)
		waits(t, p, map[string]int{"cold": 0, "hot": 0})
		pass(5 * time.Second)
		waits(t, p, map[string]int{"cold": 4, "hot": 4})
	})
}

func TestPressureStopsTheMaking(t *testing.T) {
	t.Parallel()
	var pressed atomic.Bool
	run(t, Config{Budget: 1000, Makers: 3, Pressure: pressed.Load}, func(h *host, p *Pool[*machine]) {
		polite, deaf := h.kind("polite", 100, 0, time.Minute), h.kind("deaf", 100, 0, time.Minute)
		polite.Min, polite.Max = 2, 2
		inner := deaf.Make
		deaf.Make = func(context.Context) (*machine, error) { return inner(context.Background()) }
		p.Want(polite)
		p.Want(deaf)
		pass(10 * time.Second)
		pressed.Store(true)
		pass(1100 * time.Millisecond)
		s := p.Stats()
		if s.of("polite").Making != 0 || s.of("polite").Failures != 0 || s.of("deaf").Making != 1 || s.Used != 100 {
			t.Errorf("under pressure: %+v", s)
		}
		pressed.Store(false)
		pass(49 * time.Second)
		waits(t, p, map[string]int{"deaf": 1, "polite": 0}) // made, and of use after all
	})
}
