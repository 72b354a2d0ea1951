package coordinator

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/gateway/resultcache"
	"github.com/program-explorer/pe/schemas"
)

const (
	// settleAtOnce is how many followers of one job are written at the same time,
	// leadersAtOnce of how many jobs.
	settleAtOnce  = 16
	leadersAtOnce = 4
	// settleSlice is how many followers are settled before other jobs' have their turn.
	settleSlice = 1000
)

// settleFollowers does what follows for those who wait for a job's result:
//
//   - it has one: they have it, too;
//   - its program failed, or the result is not trusted: each is run by itself,
//     as one after the other would take as long as all of them together;
//   - it will have none, because it was cancelled, expired, died or is gone: the
//     first of them is run, and the others wait for that one.
//
// Any gateway may do so at any time, and more than one at once: each step is a
// compare-and-set of a follower that still follows. Within one it is done once at a time.
func (c *Coordinator) settleFollowers(ctx context.Context, tenant, leader string) {
	key := schemas.RecordKey(tenant, leader)
	if !c.settling.begin(key) {
		return
	}
	more := false
	if c.settlers.Acquire(ctx, 1) == nil { // else the reconciler looks again
		more = c.settleSome(ctx, tenant, leader)
		c.settlers.Release(1)
	}
	if again := c.settling.end(key); (again || more) && !c.isStopped() {
		c.later(func(ctx context.Context) { c.settleFollowers(ctx, tenant, leader) })
	}
}

// settleSome settles a slice of the followers, and reports whether there may be more to do.
func (c *Coordinator) settleSome(ctx context.Context, tenant, leader string) (more bool) {
	var err error
	for range maxTries {
		if more, err = c.settleOnce(ctx, tenant, leader); !errors.Is(err, errHeirEnded) {
			break
		}
	}
	if err != nil && !errors.Is(err, errUndecided) && ctx.Err() == nil {
		c.log.Warn("jobs that follow another not settled yet", "job", leader, "err", err)
	}
	return more && err == nil
}

func (c *Coordinator) settleOnce(ctx context.Context, tenant, leader string) (more bool, err error) {
	followers := c.state.followersOf(schemas.RecordKey(tenant, leader))
	if len(followers) == 0 {
		return false, nil
	}
	more = len(followers) > settleSlice
	rec, _, err := c.read(ctx, tenant, leader)
	switch {
	case isNotFound(err):
		if c.cfg.Now().Sub(time.UnixMicro(followers[0].created)) <= c.cfg.Lease {
			return false, nil // it may be about to be written
		}
		return more, c.promoteHeir(ctx, tenant, leader, followers)
	case err != nil:
		return false, err
	case !rec.State.Terminal() && !rec.Cancel:
		return false, nil
	case rec.Outcome != nil:
		return more, c.giveResult(ctx, &rec, followers)
	}
	return more, c.promoteHeir(ctx, tenant, leader, followers)
}

// giveResult ends the followers that may have the result, and has the others run.
func (c *Coordinator) giveResult(ctx context.Context, origin *schemas.Record, followers []waiter) error {
	return c.eachFollower(ctx, origin.Tenant, origin.ID, slice(followers), func(rec *schemas.Record) error {
		err := c.rules.follow(rec, origin.ID, "")
		if err == nil && shares(origin, rec.CacheKey, rec.CacheFailures) {
			_ = c.rules.share(rec, origin, c.cfg.Now()) // without room for it, it is run
		}
		return err
	})
}

// promoteHeir has one job run in place of the leader, and then, never before, the
// followers follow it: so nobody ever follows in a circle. [errHeirEnded] if that
// one will have no result, either.
func (c *Coordinator) promoteHeir(ctx context.Context, tenant, leader string, followers []waiter) error {
	first, ok := c.firstWaiting(tenant, leader, followers)
	if !ok {
		return errUndecided
	}
	heir, err := c.chooseHeir(ctx, leader, &first)
	if err == nil && heir.Follows == leader {
		heir, err = c.change(ctx, heir.Tenant, heir.ID, func(rec *schemas.Record) error { return c.rules.follow(rec, leader, "") })
	}
	switch {
	case isNotFound(err) || errors.Is(err, errUndecided):
		return errUndecided
	case err != nil && !errors.Is(err, errNotFollowing): // else another gateway did this, or it has ended
		return err
	case heir.Outcome == nil && (heir.State.Terminal() || heir.Cancel):
		return errHeirEnded
	}
	c.log.Info("another job leads those that followed one", "job", heir.ID, "state", heir.State, "leader", leader)
	return c.eachFollower(ctx, tenant, leader, slice(followers), func(rec *schemas.Record) error {
		to := ""
		if leads(&heir, rec) {
			to = heir.ID
		}
		err := c.rules.follow(rec, leader, to)
		if err == nil && to == "" && shares(&heir, rec.CacheKey, rec.CacheFailures) {
			_ = c.rules.share(rec, &heir, c.cfg.Now()) // without room for it, it is run
		}
		return err
	})
}

// errHeirEnded: the job that was to be run in place of the leader was cancelled
// or expired before it was, so another one is chosen.
var errHeirEnded = errors.New("the job that was to lead has ended")

// firstWaiting is the first follower that may be run in place of the leader, as far as is known here.
func (c *Coordinator) firstWaiting(tenant, leader string, followers []waiter) (schemas.Record, bool) {
	for _, f := range followers {
		rec, _, live := c.state.live(schemas.RecordKey(tenant, f.id))
		if live && leaderOf(&rec) == schemas.RecordKey(tenant, leader) && !rec.Cancel {
			return rec, true
		}
	}
	return schemas.Record{}, false
}

// errUndecided: the job that leads now is yet to be made, or to be heard of. The
// reconciler looks again.
var errUndecided = errors.New("the job that leads is not there yet")

// chooseHeir returns the job that leads in place of another: the one that the
// entry in the cache names by now, or else the first follower, if it gets its name
// into the entry. So it is the same for all gateways that ask at once.
func (c *Coordinator) chooseHeir(ctx context.Context, leader string, first *schemas.Record) (schemas.Record, error) {
	for range maxTries {
		entry, err := c.results.Look(ctx, first.Tenant, first.CacheKey)
		if err != nil {
			return *first, err
		}
		if entry.Job == first.ID {
			return *first, nil
		}
		if entry.Job != "" && entry.Job != leader {
			named, _, err := c.read(ctx, first.Tenant, entry.Job)
			switch {
			case isNotFound(err) && entry.Attempt == 0 && c.cfg.Now().Sub(time.UnixMicro(entry.WrittenUS)) <= c.cfg.Lease:
				return named, errUndecided
			case err != nil && !isNotFound(err):
				return named, err
			case err == nil && (named.Follows == leader && !named.State.Terminal() && !named.Cancel || leads(&named, first) || shares(&named, first.CacheKey, first.CacheFailures)):
				return named, nil
			}
		}
		err = c.results.Lead(ctx, first.Tenant, first.CacheKey, first.ID, entry)
		if !errors.Is(err, resultcache.ErrTaken) {
			return *first, err
		}
	}
	return *first, errContended
}

// slice takes some of many followers, from anywhere: other gateways are at it, too,
// and who begins elsewhere does not do the same work again.
func slice(followers []waiter) []waiter {
	if len(followers) <= settleSlice {
		return followers
	}
	at := rand.IntN(len(followers) - settleSlice + 1)
	return followers[at : at+settleSlice]
}

// eachFollower changes followers of a job, as long as they are. Of whom another
// gateway has done so, as this one has heard, nobody is asked.
func (c *Coordinator) eachFollower(ctx context.Context, tenant, leader string, followers []waiter, step func(*schemas.Record) error) error {
	var group errgroup.Group
	group.SetLimit(settleAtOnce)
	for _, f := range followers {
		group.Go(func() error {
			if !c.state.follows(schemas.RecordKey(tenant, f.id), schemas.RecordKey(tenant, leader)) {
				return nil
			}
			rec, err := c.change(ctx, tenant, f.id, step)
			if errors.Is(err, errNotFollowing) || isNotFound(err) {
				return nil
			}
			if err == nil {
				c.ended(rec)
			}
			return err
		})
	}
	return group.Wait()
}

// settleAll looks at all jobs that are followed: what should have been settled
// may have been missed, or begun by a gateway that died. It waits for nobody.
func (c *Coordinator) settleAll(ctx context.Context) {
	for key := range c.state.followed() {
		leader, _, live := c.state.live(key)
		if live && !leader.Cancel && ctx.Err() == nil {
			continue
		}
		if tenant, job, err := schemas.ParseRecordKey(key); err == nil {
			c.later(func(ctx context.Context) { c.settleFollowers(ctx, tenant, job) })
		}
	}
}

// followers are the queued jobs that wait for the result of another, by its key.
type followers map[string]map[string]struct{}

// leaderOf is the key of the job that a queued one waits for, or empty.
func leaderOf(rec *schemas.Record) string {
	if rec == nil || rec.State != schemas.StateQueued || rec.Follows == "" {
		return ""
	}
	return schemas.RecordKey(rec.Tenant, rec.Follows)
}

// move takes note that a job, which waited for one, waits for another now; empty is none.
func (f followers) move(key, from, to string) {
	if from == to {
		return
	}
	if of := f[from]; of != nil {
		if delete(of, key); len(of) == 0 {
			delete(f, from)
		}
	}
	if to == "" {
		return
	}
	if f[to] == nil {
		f[to] = map[string]struct{}{}
	}
	f[to][key] = struct{}{}
}

// waiter is what has to be known of a job that waits for another one's result.
type waiter struct {
	id      string
	lane    string
	created int64
}

// followersOf returns those that wait for a job which, as far as is known, does
// not go on, in the order in which they would be run. While it goes on there is
// nothing to do for them, however many they are.
func (s *state) followersOf(leader string) []waiter {
	all := s.left(leader)
	slices.SortFunc(all, func(a, b waiter) int {
		// Interactive before batch: nobody waits for one that executors take later.
		return cmp.Or(cmp.Compare(b.lane, a.lane), cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id))
	})
	return all
}

func (s *state) left(leader string) (all []waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.jobs[leader]; e != nil && e.rec() != nil && !e.rec().Cancel {
		return nil
	}
	for key := range s.followers[leader] {
		if e := s.jobs[key]; e != nil && e.rec() != nil {
			all = append(all, waiter{id: e.id(), lane: e.rec().Lane, created: e.created})
		}
	}
	return all
}

// follows reports whether a job waits for another, as far as is known.
func (s *state) follows(key, leader string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.followers[leader][key]
	return ok
}

// followed lists the keys of the jobs that others wait for.
func (s *state) followed() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]bool, len(s.followers))
	for key := range s.followers {
		all[key] = true
	}
	return all
}

// unsettled is the job whose followers there is something to do for now that
// this record is known, or empty. The lock is held.
func (s *state) unsettled(e *entry, rec *schemas.Record) string {
	if s.unsorted {
		return "" // the reconciler looks at all of them once they are known
	}
	if (rec.State.Terminal() || rec.Cancel) && len(s.followers[e.key]) > 0 {
		return rec.ID
	}
	if leader := s.jobs[leaderOf(rec)]; leader != nil && leader.rec() == nil {
		return rec.Follows
	}
	return "" // that of one whose leader is not in the index is looked at by the reconciler
}

// hits is how many jobs of a tenant have another one's result.
func (s *state) hits(tenant string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tenants[tenant]; t != nil {
		n = t.hits
	}
	return n
}
