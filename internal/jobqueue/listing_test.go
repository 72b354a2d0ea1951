package jobqueue_test

import (
	"testing"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
)

// TestRead goes through what is below a prefix, from a revision on, until it is
// told to stop.
func TestRead(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t).Gateway(t, nil)
	ctx := t.Context()
	const n = 1000 // more than a watcher holds
	first := must(q.Jobs.UpdateAll(ctx, entries("x", n)))(t)
	must(q.Jobs.Create(ctx, "b.other", nil))(t)
	if err := q.Jobs.Delete(ctx, "a.x999", 0); err != nil {
		t.Fatal(err)
	}
	read := func(prefix string, after uint64, most int) (got []jobqueue.Entry) {
		t.Helper()
		err := q.Jobs.Read(ctx, prefix, after, func(e jobqueue.Entry) bool {
			got = append(got, e)
			return len(got) < most
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, c := range []struct {
		prefix      string
		after       uint64
		most, count int
	}{{"a", 0, n, n - 1}, {"a", first + 99, n, n - 101}, {"a", first + n, n, 0}, {"a", 0, 7, 7}, {"b", 0, n, 1}, {"c", 0, n, 0}} {
		got := read(c.prefix, c.after, c.most)
		if len(got) != c.count {
			t.Errorf("%+v: %d entries", c, len(got))
			continue
		}
		for i, e := range got {
			if e.Revision <= c.after || i > 0 && e.Revision <= got[i-1].Revision || e.Deleted {
				t.Fatalf("%+v: entry %d is %+v", c, i, e)
			}
		}
	}
}
