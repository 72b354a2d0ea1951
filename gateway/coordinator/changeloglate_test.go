package coordinator

import (
	"slices"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// revisions of changes.
func revisions(changes []change) (revs []uint64) {
	for _, c := range changes {
		revs = append(revs, c.rev)
	}
	return revs
}

func (l *changeLog) tellOf(tenant string, revs ...uint64) {
	for _, rev := range revs {
		l.tell(&schemas.Record{Tenant: tenant, ID: "j", State: schemas.StateQueued}, rev)
	}
}

func (l *changeLog) check(t *testing.T, when string, after uint64, known bool, want ...uint64) {
	t.Helper()
	changes, upTo, ok := l.after("a", after, 100)
	if ok != known || !slices.Equal(revisions(changes), want) || ok && upTo != max(after, l.newest()) || !ok && upTo != after {
		t.Errorf("%s: after %d changes %v up to %d, %v; want %v, %v", when, after, revisions(changes), upTo, ok, want, known)
	}
}

func isWoken(r *changeReader) bool {
	select {
	case <-r.woken:
		return true
	default:
		return false
	}
}

// TestChangeLogResumed: who is behind the gap that a watch left reads the index; who
// is past it does not.
func TestChangeLogResumed(t *testing.T) {
	t.Parallel()
	l := newChangeLog()
	l.tellOf("a", 1, 2, 3)
	l.resumed(4) // nothing can be missing
	l.tellOf("a", 4)
	l.check(t, "without a gap", 2, true, 3, 4)
	l.resumed(9)
	l.tellOf("a", 9, 11)
	for after := range uint64(8) {
		l.check(t, "behind the gap", after, false)
	}
	l.check(t, "past it", 8, true, 9, 11)
	l.check(t, "past it", 9, true, 11)
	l.resumed(10) // which the watch has told of before
	l.tellOf("a", 10)
	l.check(t, "again", 8, true, 9, 11)
	if l.newest() != 11 {
		t.Errorf("the newest is %d", l.newest())
	}
}

// TestChangeLogBefore: what stood in history at the start is not in the log, and the log says so.
func TestChangeLogBefore(t *testing.T) {
	t.Parallel()
	l := newChangeLog()
	l.tellOf("a", 5)
	l.before([]change{{tenant: "a", rev: 7}, {tenant: "b", rev: 3}})
	l.check(t, "before them", 5, false)
	l.check(t, "behind them", 7, true)
	l.tellOf("a", 8)
	l.check(t, "behind them", 7, true, 8)
	if missed, all := l.lateAfter("a", 0); len(missed) != 0 || all != 0 {
		t.Errorf("%d of %d are late", len(missed), all)
	}
}

// TestChangeLogLate: everybody is woken by changes that come late. Who is before them
// reads the index, and who is past them hears of each once.
func TestChangeLogLate(t *testing.T) {
	t.Parallel()
	l := newChangeLog()
	own, stop := l.read("a")
	defer stop()
	others, stopOthers := l.read("b")
	defer stopOthers()
	l.tellOf("a", 10, 20)
	isWoken(own)
	_, n := l.lateAfter("a", 0)
	l.late([]change{{tenant: "a", rev: 12}, {tenant: "b", rev: 13}, {tenant: "a", rev: 25}})
	if !isWoken(own) || !isWoken(others) {
		t.Error("somebody is not woken")
	}
	for _, after := range []uint64{0, 11, 24} {
		l.check(t, "before one", after, false)
	}
	l.check(t, "past all", 25, true)
	missed, all := l.lateAfter("a", n)
	if !slices.Equal(revisions(missed), []uint64{12, 25}) || all != 3 {
		t.Errorf("late: %v of %d", revisions(missed), all)
	}
	l.late([]change{{tenant: "a", rev: 14}})
	if missed, all = l.lateAfter("a", all); !slices.Equal(revisions(missed), []uint64{14}) || all != 4 {
		t.Errorf("late then: %v of %d", revisions(missed), all)
	}
	if missed, all = l.lateAfter("a", all); len(missed) != 0 || all != 4 {
		t.Errorf("told again: %v of %d", revisions(missed), all)
	}
	l.tellOf("a", 24, 26) // what is not newer than a late one was told by that
	l.check(t, "then", 25, true, 26)
}

// TestChangeLogLateIsBounded: who has not read the first of very many is given the others.
func TestChangeLogLateIsBounded(t *testing.T) {
	t.Parallel()
	l := newChangeLog()
	seen, last := 0, uint64(0)
	for round := range uint64(10) {
		var some []change
		for i := range uint64(1000) {
			some = append(some, change{tenant: "a", rev: 1000*round + i + 1})
		}
		l.late(some)
		if round%2 == 0 {
			continue
		}
		missed, all := l.lateAfter("a", seen)
		if len(missed) != 2000 || missed[0].rev != last+1 || all != int(1000*round)+1000 {
			t.Fatalf("%d late of %d", len(missed), all)
		}
		seen, last = all, missed[len(missed)-1].rev
	}
	if missed, all := l.lateAfter("a", 0); len(missed) != changesKept || all != 10_000 || len(l.missed) != changesKept {
		t.Errorf("%d late of %d are kept", len(missed), all)
	}
}
