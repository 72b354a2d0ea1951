package resultcache

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
)

const (
	one = "j01h8x3vz9k6tqc2n4m5p7r0sa"
	two = "j01h8x3vz9k6tqc2n4m5p7r0sb"
)

func open(t *testing.T) *Cache {
	t.Helper()
	now := time.Now()
	return New(queuetest.Start(t).Gateway(t, slog.New(slog.DiscardHandler)).Cache, 0, func() time.Time { return now })
}

func (c *Cache) key(t *testing.T, hash string) string {
	t.Helper()
	key, err := c.Key(t.Context(), "local", strings.Repeat(hash, 64))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestLeadAndKeep(t *testing.T) {
	t.Parallel()
	c, ctx := open(t), t.Context()
	key := c.key(t, "a")
	none, err := c.Look(ctx, "local", key)
	if err != nil || none != (Entry{}) {
		t.Fatalf("Look = %+v, %v", none, err)
	}
	if err := c.Lead(ctx, "local", key, one, none); err != nil {
		t.Fatal(err)
	}
	if err := c.Lead(ctx, "local", key, two, none); !errors.Is(err, ErrTaken) {
		t.Errorf("a second leader: %v", err)
	}
	e, err := c.Look(ctx, "local", key)
	if err != nil || e.Job != one || e.Attempt != 0 || e.WrittenUS != c.now().UnixMicro() {
		t.Errorf("Look = %+v, %v", e, err)
	}
	if err := c.Lead(ctx, "local", key, two, e); err != nil {
		t.Errorf("in its place: %v", err)
	}
	if err := c.Keep(ctx, "local", key, one, 3); err != nil {
		t.Fatal(err)
	}
	if e, err = c.Look(ctx, "local", key); err != nil || e.Job != one || e.Attempt != 3 {
		t.Errorf("Look = %+v, %v", e, err)
	}
	if e, err = c.Look(ctx, "other", key); err != nil || e.Job != "" {
		t.Errorf("another tenant's: %+v, %v", e, err)
	}
}

// TestOneLeads: of those who find nothing at the same time, one leads.
func TestOneLeads(t *testing.T) {
	t.Parallel()
	c := open(t)
	key := c.key(t, "a")
	results := make([]error, 16)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() {
			results[i] = c.Lead(t.Context(), "local", key, fmt.Sprintf("%s%d", one[:len(one)-1], i%10), Entry{})
		})
	}
	group.Wait()
	led := 0
	for _, err := range results {
		if err == nil {
			led++
		} else if !errors.Is(err, ErrTaken) {
			t.Error(err)
		}
	}
	if led != 1 {
		t.Errorf("%d lead", led)
	}
}

func TestClear(t *testing.T) {
	t.Parallel()
	c, ctx := open(t), t.Context()
	before := c.key(t, "a")
	for i := range 300 {
		if err := c.Keep(ctx, "local", c.key(t, fmt.Sprintf("%x", i%16)[:1]), one, 1+i); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Keep(ctx, "other", before, two, 1); err != nil {
		t.Fatal(err)
	}
	if n, at, err := c.Size(ctx, "local"); err != nil || n != 16 || at != 0 {
		t.Errorf("Size = %d, %d, %v", n, at, err)
	}
	if err := c.Clear(ctx, "local"); err != nil {
		t.Fatal(err)
	}
	first := c.key(t, "a")
	if err := c.Clear(ctx, "local"); err != nil { // at the same instant
		t.Fatal(err)
	}
	after := c.key(t, "a")
	if before == first || first == after {
		t.Errorf("keys %.30s, %.30s and %.30s", before, first, after)
	}
	if err := c.Keep(ctx, "local", before, one, 1); err != nil { // of a job that ran meanwhile
		t.Fatal(err)
	}
	if n, at, err := c.Size(ctx, "local"); err != nil || n != 0 || at != c.now().UnixMicro()+1 {
		t.Errorf("Size = %d, %d, %v", n, at, err)
	}
	if e, err := c.Look(ctx, "other", before); err != nil || e.Job != two {
		t.Errorf("another tenant's is %+v, %v", e, err)
	}
}

// TestClearedStaysCleared: what was kept for a job that was submitted before does
// not come back when entries have aged.
func TestClearedStaysCleared(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	log := slog.New(slog.DiscardHandler)
	c, ctx := New(server.Gateway(t, log).Cache, 0, time.Now), t.Context()
	before := c.key(t, "a")
	if err := c.Clear(ctx, "local"); err != nil {
		t.Fatal(err)
	}
	if err := c.Keep(ctx, "other", before, two, 1); err != nil {
		t.Fatal(err)
	}
	server.AgingGateway(t, 200*time.Millisecond, log)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // nothing tells of it
		if e, err := c.Look(ctx, "other", before); err != nil {
			t.Fatal(err)
		} else if e.Job == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("an entry does not age")
		}
	}
	if err := c.Keep(ctx, "local", before, one, 1); err != nil {
		t.Fatal(err)
	}
	if c.key(t, "a") == before {
		t.Error("the time of the clearing has aged, too")
	}
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"job":"` + one + `","attempt":1,"written_us":1790000000000000}`))
	f.Add([]byte(`{"job":"x"}`))
	f.Add([]byte("1790000000000000"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := decodeEntry(data); err == nil && (e.Attempt < 0 || len(e.Job) != len(one)) || err != nil && e != (Entry{}) {
			t.Errorf("%q: %+v, %v", data, e, err)
		}
		if epoch, err := decodeEpoch(data); err == nil && (epoch < 0 || fmt.Sprint(epoch) != string(data)) {
			t.Errorf("%q: epoch %d", data, epoch)
		}
	})
}
