package feeder

import (
	"slices"

	"github.com/program-explorer/pe/schemas"
)

// account is what a tenant may have offered and running, and has.
type account struct {
	// weight is how many of its jobs are offered in one turn of a lane.
	weight int
	// most bounds its offered and running jobs; 0 does not.
	most             int
	offered, running int
	// claiming counts the claims that are being granted.
	claiming int
	// shares counts those that it has in all lanes; held are those that wait for
	// room here, the longest first.
	shares int
	held   []*share
}

func (a *account) full() bool { return a.most > 0 && a.offered+a.running >= a.most }

func (a *account) idle() bool { return a.offered+a.running+a.claiming+a.shares == 0 }

// unhold takes out a share that has nothing waiting any more.
func (a *account) unhold(s *share) {
	a.held = slices.DeleteFunc(a.held, func(x *share) bool { return x == s })
}

// next takes out the share to go on with: interactive ones first.
func (a *account) next() *share {
	at := max(0, slices.IndexFunc(a.held, func(s *share) bool { return s.lane.name == schemas.LaneInteractive }))
	s := a.held[at]
	a.held = slices.Delete(a.held, at, at+1)
	return s
}

// account is a tenant's, as far as there is reason to have one.
func (f *Feeder) account(tenant string) *account {
	a := f.accounts[tenant]
	if a == nil {
		a = &account{}
		a.limit(f.cfg.Limits(tenant))
		f.accounts[tenant] = a
	}
	return a
}

func (a *account) limit(l Limits) { a.weight, a.most = max(l.Weight, 1), l.Running }

// tidy goes on with what an account has room for, and forgets one without jobs.
func (f *Feeder) tidy(tenant string) {
	a := f.accounts[tenant]
	if a == nil {
		return
	}
	for len(a.held) > 0 && !a.full() {
		s := a.next()
		s.turn = s.lane.turns.PushBack(s)
		f.feed(s.lane.pool)
	}
	if a.idle() {
		delete(f.accounts, tenant)
	}
}

// Relimit takes new limits of all tenants.
func (f *Feeder) Relimit() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for tenant, a := range f.accounts {
		a.limit(f.cfg.Limits(tenant))
		f.tidy(tenant)
	}
}

// Begin reports whether a tenant may have one more job running, and reserves its
// place until End is called.
func (f *Feeder) Begin(tenant string) (ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.account(tenant)
	if a.most > 0 && a.running+a.claiming >= a.most {
		return false
	}
	a.claiming++
	return true
}

// End gives back the place that Begin reserved.
func (f *Feeder) End(tenant string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.account(tenant).claiming--
	f.tidy(tenant)
}

// Refused takes note that a job was not given to whoever claimed it, because its
// tenant has as many running as it may: its offer is gone, and it waits again.
func (f *Feeder) Refused(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tickets[key]
	if t == nil || t.at != atStream {
		return
	}
	f.outOfStream(t)
	t.feed = f.cfg.Now().UnixNano() // the server still knows the id of the offer
	f.enqueue(t)
}

// HeldBack reports whether a job waits because its tenant has as many offered
// and running as it may, and how many that is.
func (f *Feeder) HeldBack(key string) (most int, held bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tickets[key]
	if t == nil || t.at != atLane {
		return 0, false
	}
	a := f.accounts[t.place.Tenant]
	return a.most, a.full()
}

// Running is how many jobs of a tenant run.
func (f *Feeder) Running(tenant string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.accounts[tenant]; a != nil {
		return a.running
	}
	return 0
}
