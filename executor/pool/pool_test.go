package pool

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// pass lets so much time go by, and all that it brings about.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// run tests a pool in a time of its own, and that nothing is left of it.
func run(t *testing.T, c Config, test func(*host, *Pool[*machine])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, c.Budget)
		p := New[*machine](c)
		test(h, p)
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		h.empty()
	})
}

func TestTakenIsReplaced(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 1000}, func(h *host, p *Pool[*machine]) {
		k := h.kind("a", 100, 50, 200*time.Millisecond)
		if _, ok := p.Take("a"); ok {
			t.Error("an unknown kind has a machine")
		}
		if _, ok := h.take(p, k); ok {
			t.Error("a kind that is new has a machine")
		}
		pass(300 * time.Millisecond)
		for range 3 {
			waits(t, p, map[string]int{"a": 1})
			if _, ok := h.take(p, k); !ok {
				t.Error("no machine")
			}
			if _, ok := h.take(p, k); ok {
				t.Error("one machine was there, and a second was handed out")
			}
			pass(300 * time.Millisecond)
		}
		s := p.Stats()
		if a := s.of("a"); a.Hits != 3 || a.Misses != 4 || s.Unknown != 1 || s.Used != 150 || a.MakeTime != 200*time.Millisecond {
			t.Errorf("stats: %+v", s)
		}
	})
}

func TestOldestIsTakenFirst(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 1000}, func(h *host, p *Pool[*machine]) {
		k := h.kind("a", 100, 0, time.Second)
		k.Min, k.Max = 3, 3
		p.Want(k)
		pass(time.Minute)
		for i := range 3 {
			if m, ok := h.take(p, k); !ok || m != h.machines()[i] {
				t.Errorf("take %d is not the machine that was made as the %dth", i, i)
			}
		}
	})
}

func TestTheDeadAreReplaced(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 1000}, func(h *host, p *Pool[*machine]) {
		k := h.kind("a", 100, 0, 100*time.Millisecond)
		k.Min, k.Max = 2, 2
		p.Want(k)
		pass(2 * time.Second)
		h.kill(h.machines()[0])
		if m, ok := h.take(p, k); !ok || m != h.machines()[1] {
			t.Error("the living machine was not handed out")
		}
		pass(4 * time.Second)
		waits(t, p, map[string]int{"a": 2})
		if a := p.Stats().of("a"); a.Failures != 1 || a.Reason != errDied.Error() {
			t.Errorf("a death is no failure: %+v", a)
		}
		pass(proven)
		if a := p.Stats().of("a"); a.Failures != 0 {
			t.Errorf("machines that live don't clear their kind: %+v", a)
		}
		// Dying again and again costs ever less.
		made := len(h.machines())
		for range 10 * 60 {
			for _, m := range h.machines() {
				h.kill(m)
			}
			pass(time.Second)
		}
		if n := len(h.machines()) - made; n < 4 || n > 20 {
			t.Errorf("%d machines were made in 10 minutes for a kind whose machines die at once", n)
		}
	})
}

func TestTheOldAreReplacedOneByOne(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 1000, MaxAge: 10 * time.Minute, Makers: 4}, func(h *host, p *Pool[*machine]) {
		k := h.kind("a", 100, 0, 5*time.Second)
		k.Min, k.Max = 4, 4
		p.Want(k)
		pass(time.Minute)
		for range 30 * 60 {
			pass(time.Second)
			if a := p.Stats().of("a"); a.Waiting < 3 {
				t.Fatalf("%d of 4 wait", a.Waiting)
			}
		}
		for _, w := range p.kinds["a"].waiting {
			if age := time.Since(w.since); age > 11*time.Minute {
				t.Errorf("a machine has waited for %v", age)
			}
		}
		if len(h.machines()) > 4+3*4 {
			t.Errorf("%d machines were made in half an hour", len(h.machines()))
		}
	})
}

func TestFailureBacksOff(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 1000, Makers: 3}, func(h *host, p *Pool[*machine]) {
		k := h.kind("a", 100, 10, 10*time.Millisecond)
		k.Min, k.Max = 3, 3
		h.fail("a", true)
		p.Want(k)
		pass(500 * time.Millisecond)
		if a := p.Stats().of("a"); a.Failures != 1 || h.tried("a") != 3 {
			t.Errorf("%d tries at once are no one failure: %+v", h.tried("a"), a)
		}
		pass(time.Hour)
		// Three at once, then after 1, 2, 4 … 256 s, then every 5 minutes.
		if n := h.tried("a"); n < 15 || n > 24 {
			t.Errorf("%d tries in an hour", n)
		}
		a := p.Stats().of("a")
		if a.Reason != errNoMachine.Error() || a.Retry.Before(time.Now()) {
			t.Errorf("stats don't tell: %+v", a)
		}
		h.fail("a", false)
		pass(time.Until(p.Stats().of("a").Retry) + 2*time.Second)
		if _, ok := h.take(p, k); !ok {
			t.Errorf("no machine after the retry")
		}
		if a := p.Stats().of("a"); a.Failures != 0 || a.Reason != "" {
			t.Errorf("still failing: %+v", a)
		}
		pass(2 * time.Second)
		waits(t, p, map[string]int{"a": 3})
	})
}

func TestSlowMakeIsCutOff(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 1000, MakeTimeout: time.Second}, func(h *host, p *Pool[*machine]) {
		p.Want(h.kind("a", 100, 10, time.Hour))
		pass(1500 * time.Millisecond)
		if a := p.Stats().of("a"); a.Making != 0 || a.Failures != 1 {
			t.Errorf("after the timeout: %+v", a)
		}
	})
}

func TestIdleKindIsLetGo(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 1000, Idle: 2 * time.Minute}, func(h *host, p *Pool[*machine]) {
		h.take(p, h.kind("a", 100, 10, time.Second))
		kept := h.kind("b", 100, 10, time.Second)
		kept.Min, kept.Max = 1, 2
		p.Want(kept)
		pass(110 * time.Second)
		waits(t, p, map[string]int{"a": 1, "b": 1})
		pass(30 * time.Second)
		waits(t, p, map[string]int{"b": 1})
		if h.released("a") != 1 || h.released("b") != 0 {
			t.Errorf("released: %v", h.released("a"))
		}
		// It can come back.
		h.take(p, h.kind("a", 100, 10, time.Second))
		pass(5 * time.Second)
		waits(t, p, map[string]int{"a": 1, "b": 1})
	})
}

func TestWantRefreshesBounds(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 1000}, func(h *host, p *Pool[*machine]) {
		k := h.kind("a", 100, 0, 100*time.Millisecond)
		p.Want(k)
		pass(5 * time.Second)
		waits(t, p, map[string]int{"a": 1})
		k.Name, k.Min, k.Max = "renamed", 3, 3
		p.Want(k)
		pass(5 * time.Second)
		waits(t, p, map[string]int{"a": 3})
		if a := p.Stats().of("a"); a.Name != "renamed" {
			t.Errorf("named %s", a.Name)
		}
		k.Min, k.Max = 0, 2
		p.Want(k)
		pass(5 * time.Second)
		waits(t, p, map[string]int{"a": 1})
	})
}

func TestEvict(t *testing.T) {
	t.Parallel()
	run(t, Config{Budget: 1000, Makers: 2}, func(h *host, p *Pool[*machine]) {
		k := h.kind("a", 100, 10, time.Second)
		k.Min, k.Max = 2, 2
		p.Want(k)
		pass(1500 * time.Millisecond)
		h.take(p, k)
		pass(500 * time.Millisecond) // one waits, one is half made
		p.Evict("a")
		if _, ok := p.Take("a"); ok {
			t.Error("a machine of an evicted kind")
		}
		pass(time.Second)
		waits(t, p, map[string]int{})
		if h.released("a") != 1 || len(h.machines()) != 2 {
			t.Errorf("released %v, made %d", h.released("a"), len(h.machines()))
		}
		p.Evict("a")
		p.Want(k)
		pass(3 * time.Second)
		waits(t, p, map[string]int{"a": 2})
	})
}

func TestDrainWaitsForMakers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, 0)
		p := New[*machine](Config{Budget: 1000})
		stubborn := h.kind("a", 100, 10, time.Minute)
		inner := stubborn.Make
		stubborn.Make = func(context.Context) (*machine, error) { return inner(context.Background()) }
		p.Want(stubborn)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("drain with a maker at work: %v", err)
		}
		if err := p.Close(); err != nil || len(h.machines()) != 1 {
			t.Errorf("close: %v, %d made", err, len(h.machines()))
		}
		h.empty()
		p.Want(stubborn)
		if _, ok := p.Take("a"); ok || len(p.Stats().Kinds) > 0 {
			t.Error("a closed pool goes on")
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}
