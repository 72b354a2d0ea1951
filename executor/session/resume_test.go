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

// cold is a restored machine: slow to identify at first, and slow for ever if stuck.
type cold struct {
	honest
	times *int
	stuck bool
}

func (c cold) Identify(*guestproto.Identity) error {
	if *c.times++; *c.times == 1 || c.stuck {
		time.Sleep(200 * time.Millisecond)
	}
	return nil
}

func TestSettle(t *testing.T) {
	for _, c := range []struct {
		stuck bool
		times int
		took  time.Duration
	}{{false, 2, 0}, {true, 8, 200 * time.Millisecond}} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			times := 0
			go func() { _ = serve.Serve(theirs, cold{times: &times, stuck: c.stuck}, ready()) }()
			s, _, err := session.Open(t.Context(), ours, session.Options{})
			if err != nil {
				t.Fatal(err)
			}
			made := 0
			took, err := s.Settle(t.Context(), 50*time.Millisecond, func() (guestproto.Identity, error) {
				made++
				return identity(), nil
			})
			if err != nil || took != c.took || times != c.times || made != c.times {
				t.Errorf("stuck %v: took %v, identified %d times with %d identities, %v", c.stuck, took, times, made, err)
			}
			_ = s.Close()
			_ = theirs.Close()
			synctest.Wait()
		})
	}
}
