package campaign

import (
	"context"
	"errors"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
)

const expireEvery = 10 * time.Minute

// expireEvery forgets campaigns whose time has come until ctx ends. Every gateway does.
func (c *Campaigns) expireEvery(ctx context.Context) {
	for pause(ctx, expireEvery) {
		if n, err := c.Expire(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("not all campaigns expired yet", "expired", n, "err", err)
		}
	}
}

// Expire forgets the campaigns that ended longer ago than [Config.Keep], and returns
// how many. What is open or closed stays until somebody removes it.
func (c *Campaigns) Expire(ctx context.Context) (n int, err error) {
	if c.cfg.Keep == 0 {
		return 0, nil
	}
	before := c.cfg.Now().Add(-c.cfg.Keep).UnixMicro()
	for _, k := range c.index.all(func(k *known) bool { return k.ended() && k.Campaign.EndedUS < before }) {
		switch err := c.retire(ctx, k.key(), k.rev); {
		case err == nil:
			n++
		case !errors.Is(err, jobqueue.ErrConflict): // it has ended again, or another gateway did this
			return n, err
		}
	}
	return n, nil
}
