package session_test

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/guestrd/serve"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// cold is a restored machine: slow to identify at first, and later as the host lets it.
type cold struct {
	honest
	times *int
	later time.Duration
	last  *time.Duration // by how much its clock is ahead of the host's
}

func (c cold) Identify(m *guestproto.Identity) error {
	delay := c.later
	if *c.times++; *c.times == 1 {
		delay = 200 * time.Millisecond
	}
	time.Sleep(delay)
	*c.last = time.Until(time.Unix(0, m.ClockNS))
	return nil
}

func TestSettle(t *testing.T) {
	for _, c := range []struct {
		later time.Duration // per answer
		times int
		ahead time.Duration // what the clock is
		wrong time.Duration // what is said that it may be
	}{
		{0, 2, 0, 0},
		{40 * time.Millisecond, 2, -40 * time.Millisecond, 40 * time.Millisecond},
		{80 * time.Millisecond, 4, -30 * time.Millisecond, 50 * time.Millisecond}, // a busy host
		{200 * time.Millisecond, 8, -150 * time.Millisecond, 150 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			times, ahead := 0, time.Duration(0)
			go func() { _ = serve.Serve(theirs, cold{times: &times, later: c.later, last: &ahead}, ready()) }()
			s, _, err := session.Open(t.Context(), ours, session.Options{})
			if err != nil {
				t.Fatal(err)
			}
			made := 0
			wrong, err := s.Settle(t.Context(), 50*time.Millisecond, func() (guestproto.Identity, error) {
				made++
				m := identity()
				m.ClockNS = time.Now().UnixNano()
				return m, nil
			})
			if err != nil || wrong != c.wrong || times != c.times || made != c.times || ahead != c.ahead {
				t.Errorf("answers in %v: wrong by %v of %v at most, identified %d times with %d identities, %v", c.later, ahead, wrong, times, made, err)
			}
			_ = s.Close()
			_ = theirs.Close()
			synctest.Wait()
		})
	}
}
