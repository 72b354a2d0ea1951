package chaos

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/program-explorer/pe/e2e/chaos/check"
)

// run strikes until ctx ends or done says that it was enough. What it did last is put right.
func (s *striker) run(ctx context.Context, rest time.Duration, done func() bool) error {
	for ctx.Err() == nil && !done() {
		if err := s.supervise(); err != nil {
			return err
		}
		blow := s.choose()
		s.arm(&blow)
		select {
		case h := <-s.hits:
			if err := s.settle(h); err != nil {
				return err
			}
		case <-time.After(maxWait):
			if err := s.miss(blow); err != nil {
				return err
			}
		}
		sleep(ctx, time.Duration(s.random.Int64N(int64(rest))))
	}
	return s.mending.Wait()
}

// supervise notes the processes that ended by themselves, and starts them anew.
func (s *striker) supervise() error {
	for _, p := range s.system.all() {
		s.mu.Lock()
		ended := !s.broken[p] && !p.alive()
		s.mu.Unlock()
		if !ended {
			continue
		}
		s.history.add(check.Line{Leftover: &check.Leftover{Kind: "ended by itself", Detail: p.name + ": " + p.tail(300)}})
		if err := p.start(); err != nil {
			return err
		}
	}
	return nil
}

// maxWait is how long a strike waits for its moment.
const maxWait = 8 * time.Second

// miss gives a strike up, unless it hits right now.
func (s *striker) miss(blow strike) error {
	s.mu.Lock()
	for s.dealing {
		s.dealt.Wait()
	}
	missed := s.armed != nil
	s.armed = nil
	if missed {
		s.missed[blow.cell]++
	}
	s.mu.Unlock()
	if !missed {
		return s.settle(<-s.hits)
	}
	s.log.Info("no moment", "component", blow.component, "step", blow.step)
	return nil
}

// settle notes a hit, waits as long as it lasts, and puts it right.
func (s *striker) settle(h hit) error {
	s.mu.Lock()
	s.table[h.cell]++
	struck := check.Strike{Component: h.component, Step: h.step, Action: h.action, Hit: true, AtUS: now()}
	s.dealtOut = append(s.dealtOut, struck)
	if h.action == actKill {
		s.kills++
	}
	s.mu.Unlock()
	s.log.Info("struck", "component", h.component, "step", h.step, "action", h.action, "before", h.before, "at", h.at, "job", h.job, "lasts", h.lasts)
	s.history.add(check.Line{Strike: &struck})
	mend := func() error {
		time.Sleep(h.lasts)
		if err := s.mend(h); err != nil {
			return fmt.Errorf("mend %s of %s at %s: %w", h.action, h.component, h.at, err)
		}
		return nil
	}
	if h.behind {
		s.mending.Go(mend)
		return nil
	}
	return mend()
}

// choose takes one of the cells that were hit least.
func (s *striker) choose() strike {
	s.mu.Lock()
	defer s.mu.Unlock()
	var least []cell
	most := 0
	for _, component := range components {
		for _, step := range part[component] {
			c := cell{component, step}
			if s.skip(c) || !s.seen[c] {
				continue
			}
			// A moment that did not come may be a rare one: others meanwhile.
			switch n := 2*s.table[c] + s.missed[c]; {
			case len(least) == 0 || n < most:
				least, most = []cell{c}, n
			case n == most:
				least = append(least, c)
			}
		}
	}
	if len(least) == 0 { // nothing has begun: what begins first
		least = []cell{{ofGateway, stepSubmit}}
	}
	c := least[s.random.IntN(len(least))]
	action := actKill
	if of := actions[c.component]; len(of) > 0 && s.random.IntN(5) < 2 && s.kills >= s.killsFirst {
		action = of[s.random.IntN(len(of))]
	}
	blow := strike{
		cell: c, action: action, before: s.random.IntN(2) == 0,
		lasts: time.Duration(s.random.Int64N(int64(2 * time.Second))), behind: s.random.IntN(4) == 0,
	}
	switch {
	case blow.action == actHang && s.hangs:
		blow.lasts, blow.behind = lease+10*time.Second, true
	case blow.action == actHang:
		blow.action = actPause
	case blow.action == actFull && os.Geteuid() != 0:
		blow.action = actKill
	}
	return blow
}

// skip says of a cell that it can't be hit in this system.
func (s *striker) skip(c cell) bool {
	return (c.component == ofMachine || c.component == ofGuest) && !s.system.has(c.component) || c.step == stepWebhook && !callbacks
}

// figures are the strikes that hit so far, and how many of them were kills.
func (s *striker) figures() (strikes []check.Strike, kills int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dealtOut), s.kills
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
