package session

import (
	"context"
	"time"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// settleTries bounds how often Settle tries, on a host that is too busy to ever be quick. After
// plainTries it no longer counts on being quick.
const (
	settleTries = 8
	plainTries  = 3
)

// Settle is Identify for a restored machine, whose clock it also sets right. A guest sets its clock to
// when the message was made, and under emulation the first message to a restored one takes 100 to
// 300 ms, since none of the guest's code has been translated yet; the second takes 2. So it
// identifies the machine until an answer came in less than within, by which the clock is then slow at
// most. On a busy host no answer may be that quick: then it sets the clock ahead by within, and an answer
// may take twice as long before the clock can be wrong by more. It returns by how much the clock may be
// wrong: more than within, where the host is too busy even for that. Each identity must be made when it is
// asked for.
func (s *Session) Settle(ctx context.Context, within time.Duration, identity func() (guestproto.Identity, error)) (time.Duration, error) {
	var wrong time.Duration
	for try := range settleTries {
		var ahead time.Duration
		if try >= plainTries {
			ahead = within
		}
		m, err := identity()
		if err != nil {
			return 0, err
		}
		m.ClockNS += ahead.Nanoseconds()
		start := time.Now()
		if err := s.Identify(ctx, m); err != nil {
			return 0, err
		}
		if wrong = max(ahead, time.Since(start)-ahead); wrong <= within {
			break
		}
	}
	return wrong, nil
}
