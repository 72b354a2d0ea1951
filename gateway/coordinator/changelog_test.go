package coordinator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/feeder"
	"github.com/program-explorer/pe/schemas"
)

// TestChangeLogForgets: what is forgotten is said to be, and never left out.
func TestChangeLogForgets(t *testing.T) {
	t.Parallel()
	l := newChangeLog()
	const jobs = 3 * changesKept / 2
	for i := range jobs {
		tenant := "a"
		if i%3 == 0 {
			tenant = "b"
		}
		l.tell(&schemas.Record{Tenant: tenant, ID: fmt.Sprint(i), State: schemas.StateQueued}, uint64(10*i+10))
	}
	oldest := uint64(10 * (jobs - changesKept)) // the newest revision that is gone
	if _, _, ok := l.after("a", oldest-1, 10); ok {
		t.Error("what was forgotten is not missed")
	}
	last, n := oldest, 0
	for {
		changes, upTo, ok := l.after("b", last, 100)
		if !ok {
			t.Fatalf("nothing known after %d", last)
		}
		for _, c := range changes {
			if c.tenant != "b" || c.rev <= last {
				t.Fatalf("change %d of %s after %d", c.rev, c.tenant, last)
			}
			last = c.rev
			n++
		}
		if last = upTo; len(changes) == 0 {
			break
		}
	}
	if want := changesKept / 3; n < want || n > want+1 || last != 10*jobs {
		t.Errorf("%d changes up to %d, want %d up to %d", n, last, want, 10*jobs)
	}
	l.tell(&schemas.Record{Tenant: "a", ID: "again", State: schemas.StateDead}, 10)
	if changes, _, _ := l.after("a", 10*jobs, 1); len(changes) > 0 {
		t.Errorf("told again: %+v", changes)
	}
	l.passed(10*jobs + 5)
	if l.newest() != 10*jobs+5 {
		t.Errorf("newest is %d", l.newest())
	}
}

// TestQuietReadersAreWoken before others' changes have turned the ring: so they are never behind it.
func TestQuietReadersAreWoken(t *testing.T) {
	t.Parallel()
	l := newChangeLog()
	reader, stop := l.read("quiet")
	defer stop()
	at := uint64(0)
	for i := range uint64(5 * changesKept) {
		l.tell(&schemas.Record{Tenant: "busy", ID: "j", State: schemas.StateQueued}, i+1)
		select {
		case <-reader.woken:
			_, upTo, ok := l.after("quiet", at, 10)
			if at = upTo; !ok {
				t.Fatalf("behind after %d changes", i+1)
			}
		default:
		}
	}
	if at < 4*changesKept {
		t.Errorf("last woken at change %d", at)
	}
}

// TestChangedIsBounded: who was away does not make all others wait for a look at all jobs at once.
func TestChangedIsBounded(t *testing.T) {
	t.Parallel()
	s := newState(feeder.New(feeder.Config{}), func() time.Time { return time.Unix(1, 0) }, func(_, _ schemas.State) {})
	const jobs = 3*maxScan + 10
	for i := range jobs {
		rec := schemas.Record{ID: fmt.Sprintf("j%025d", i), Tenant: "local", State: schemas.StateSucceeded, CreatedUS: int64(i / 2)}
		s.learn(rec, uint64(jobs-i)) // the oldest job changed last
	}
	s.sortAll()
	looks, from := 0, (*entry)(nil)
	for more := true; more; looks++ {
		_, from, more = s.changedFrom(nil, "local", Filter{}, 0, jobs, from)
	}
	if looks != 4 {
		t.Errorf("%d looks at %d jobs, want 4", looks, jobs)
	}
	all := s.changed("local", Filter{}, 5, jobs-5, jobs)
	if len(all) != jobs-10 || all[0].rev != 6 || all[len(all)-1].rev != jobs-5 {
		t.Errorf("%d changes, from %+v to %+v", len(all), all[0], all[len(all)-1])
	}
	// In pages they are the same.
	for after, page := uint64(5), 0; page < len(all); page += 1000 {
		some := s.changed("local", Filter{}, after, jobs-5, 1000)
		if !slices.Equal(some, all[page:min(page+1000, len(all))]) {
			t.Fatalf("page of %d changes after %d", len(some), after)
		}
		after = some[len(some)-1].rev
	}
}
