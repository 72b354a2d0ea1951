package coordinator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/feeder"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/schemas"
)

// deaf is a coordinator that knows only what it wrote or read: nothing tells it
// what others write.
func deaf(t *testing.T, server *queuetest.Server) *Coordinator {
	t.Helper()
	store, err := dir.Open(dir.Config{Path: t.TempDir(), BaseURL: func() string { return "http://127.0.0.1:1/" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	c, err := New(Config{Queue: server.Gateway(t, nil), Store: store})
	if err != nil {
		t.Fatal(err)
	}
	c.state.sortAll()
	t.Cleanup(c.background.Wait)
	return c
}

// same are jobs that share one run: the first leads.
func same(t *testing.T, c *Coordinator, n int) (recs []schemas.Record) {
	t.Helper()
	for range n {
		rec, _, err := c.Submit(t.Context(), submissionOf(t))
		if err != nil {
			t.Fatal(err)
		}
		if recs = append(recs, rec); len(recs) > 1 && rec.Follows != recs[0].ID {
			t.Fatalf("it follows %q", rec.Follows)
		}
	}
	c.background.Wait()
	return recs
}

func submissionOf(t *testing.T) Submission {
	t.Helper()
	s := Submission{Tenant: schemas.SingleTenant, Image: schemas.ImageRef{Reference: "docker.io/library/busybox", Digest: schemas.Digest(make([]byte, 32))}}
	s.Spec = schemas.JobSpec{Image: "busybox", Args: []string{"true"}, Cache: schemas.CacheUse}
	s.Spec.Requires.Arch = "amd64"
	s.Spec = s.Spec.WithDefaults()
	return s
}

func cancelled(t *testing.T, c *Coordinator, rec schemas.Record) {
	t.Helper()
	if _, err := c.Cancel(t.Context(), rec.Tenant, rec.ID); err != nil {
		t.Fatal(err)
	}
}

// follows is whom a job follows now.
func follows(t *testing.T, c *Coordinator, rec schemas.Record) string {
	t.Helper()
	now, _, err := c.read(t.Context(), rec.Tenant, rec.ID)
	if err != nil {
		t.Fatal(err)
	}
	return now.Follows
}

// TestHeirEndsFirst: the first follower was cancelled at another gateway, of
// which this one does not know yet: the next one is run, and not all of them.
func TestHeirEndsFirst(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	here, there := deaf(t, server), deaf(t, server)
	recs := same(t, here, 5)
	cancelled(t, there, recs[1])
	cancelled(t, there, recs[2])
	cancelled(t, here, recs[0])
	here.background.Wait()
	for i, want := range map[int]string{3: "", 4: recs[3].ID} {
		if got := follows(t, there, recs[i]); got != want {
			t.Errorf("follower %d follows %q, want %q", i, got, want)
		}
	}
}

// TestNothingToSettle: those that wait for a job which goes on are not even listed.
func TestNothingToSettle(t *testing.T) {
	t.Parallel()
	s := newState(feeder.New(feeder.Config{}), func() time.Time { return time.Unix(1, 0) }, func(_, _ schemas.State) {})
	s.sortAll()
	leader := schemas.Record{Tenant: "t", ID: "leader", State: schemas.StateQueued}
	s.learn(leader, 1)
	for i := range 3 {
		rec := schemas.Record{Tenant: "t", ID: fmt.Sprint(i), State: schemas.StateQueued, Follows: leader.ID, CreatedUS: int64(-i)}
		if got := s.learn(rec, uint64(i+2)); got != "" {
			t.Errorf("the followers of %s are to be settled", got)
		}
	}
	key := schemas.RecordKey(leader.Tenant, leader.ID)
	if got := s.followersOf(key); got != nil {
		t.Errorf("while it is queued: %v", got)
	}
	leader.State, leader.Cancel = schemas.StateRunning, true
	s.learn(leader, 5)
	if got := s.followersOf(key); len(got) != 3 || got[0].id != "2" {
		t.Errorf("while it is being cancelled: %v", got)
	}
	s.forget(key, 6)
	if got := s.followersOf(key); len(got) != 3 {
		t.Errorf("when it is gone: %v", got)
	}
}

// TestSettledOnceAtATime: what happens while followers are settled is looked at after that.
func TestSettledOnceAtATime(t *testing.T) {
	t.Parallel()
	c := deaf(t, queuetest.Start(t))
	recs := same(t, c, 2)
	key := schemas.RecordKey(recs[0].Tenant, recs[0].ID)
	if !c.settling.begin(key) {
		t.Fatal("they are being settled")
	}
	cancelled(t, c, recs[0])
	c.background.Wait()
	if got := follows(t, c, recs[1]); got != recs[0].ID {
		t.Errorf("settled twice at once: it follows %q", got)
	}
	c.background.Wait()
	if !c.settling.end(key) {
		t.Fatal("it is not done again")
	}
	c.settleFollowers(t.Context(), recs[0].Tenant, recs[0].ID)
	if got := follows(t, c, recs[1]); got != "" {
		t.Errorf("not settled: it follows %q", got)
	}
	c.background.Wait()
	if len(c.settling.again) != 0 {
		t.Errorf("still being settled: %v", c.settling.again)
	}
}

// TestManyFollowers: one pass settles a slice of them, and leads to the next.
func TestManyFollowers(t *testing.T) {
	t.Parallel()
	c := deaf(t, queuetest.Start(t))
	recs := same(t, c, 2)
	const more = 2*settleSlice + 100
	template := submissionOf(t)
	for n := 0; n < more; n += schemas.MaxBatchJobs {
		jobs := slices.Repeat([]Submission{template}, min(more-n, schemas.MaxBatchJobs))
		answers, err := c.SubmitBatch(t.Context(), jobs, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range answers {
			if recs = append(recs, a.Record); a.Record.Follows != recs[0].ID {
				t.Fatalf("it follows %q", a.Record.Follows)
			}
		}
	}
	c.background.Wait()
	leader := schemas.RecordKey(recs[0].Tenant, recs[0].ID)
	left := func() int {
		c.state.mu.Lock()
		defer c.state.mu.Unlock()
		return len(c.state.followers[leader])
	}
	if !c.settling.begin(leader) { // nobody else does it
		t.Fatal("they are being settled")
	}
	cancelled(t, c, recs[0])
	c.background.Wait()
	if more := c.settleSome(t.Context(), recs[0].Tenant, recs[0].ID); !more {
		t.Error("nothing is left after the first slice")
	}
	if n := len(recs) - 1 - left(); n < settleSlice || n > settleSlice+1 { // with the one that leads now
		t.Errorf("%d were settled at once", n)
	}
	c.settling.end(leader)
	c.settleAll(t.Context())
	c.background.Wait()
	if n := left(); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// TestReconcilerDoesNotWait for followers that are being settled.
func TestReconcilerDoesNotWait(t *testing.T) {
	t.Parallel()
	c := deaf(t, queuetest.Start(t))
	recs := same(t, c, 2)
	if err := c.settlers.Acquire(t.Context(), leadersAtOnce); err != nil {
		t.Fatal(err)
	}
	cancelled(t, c, recs[0])
	c.settleAll(t.Context()) // returns, though nobody can be settled now
	if got := follows(t, c, recs[1]); got != recs[0].ID {
		t.Errorf("it follows %q", got)
	}
	c.settlers.Release(leadersAtOnce)
	c.background.Wait()
	if got := follows(t, c, recs[1]); got != "" {
		t.Errorf("not settled: it follows %q", got)
	}
}

// TestEntryCannotBeRead: a job whose entry the cache does not give is run.
func TestEntryCannotBeRead(t *testing.T) {
	t.Parallel()
	c := deaf(t, queuetest.Start(t))
	rec := schemas.Record{Tenant: schemas.SingleTenant, ID: "j01h8x3vz9k6tqc2n4m5p7r0sa", CacheKey: "no key"}
	if _, err := c.results.Look(t.Context(), rec.Tenant, rec.CacheKey); err == nil {
		t.Fatal("the entry can be read")
	}
	if outcome, err := c.joinOnce(t.Context(), &rec); err == nil {
		t.Fatalf("joinOnce = %s", outcome)
	}
	if err := c.joinAny(t.Context(), &rec); err != nil || rec.Follows != "" {
		t.Errorf("joinAny = %v, it follows %q", err, rec.Follows)
	}
}
