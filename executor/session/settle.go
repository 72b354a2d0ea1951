package session

import (
	"context"
	"time"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// settleTries bounds how often Settle tries, on a host that is too busy to ever be quick.
const settleTries = 8

// Settle is Identify for a restored machine, whose clock it also sets right. A guest sets its clock to
// when the message was made, and under emulation the first message to a restored one takes 100 to
// 300 ms, since none of the guest's code has been translated yet; the second takes 2. So it
// identifies the machine until an answer came in less than within, by which the clock is then wrong at
// most. It returns what the last answer took: more than within, where the host is too busy. Each
// identity must be made when it is asked for.
func (s *Session) Settle(ctx context.Context, within time.Duration, identity func() (guestproto.Identity, error)) (time.Duration, error) {
	var took time.Duration
	for range settleTries {
		m, err := identity()
		if err != nil {
			return 0, err
		}
		start := time.Now()
		if err := s.Identify(ctx, m); err != nil {
			return 0, err
		}
		if took = time.Since(start); took < within {
			break
		}
	}
	return took, nil
}
