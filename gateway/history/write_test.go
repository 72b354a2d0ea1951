package history

import (
	"context"
	"errors"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestOneWriter: of two that make the same page, or rewrite it, one is refused.
func TestOneWriter(t *testing.T) {
	t.Parallel()
	b := bucket(t)
	one, two := newHistory(t, b), newHistory(t, b)
	write(t, one, some(3, 0))
	if _, err := two.Write(t.Context(), tenant, two.Next(tenant), some(3, 0)); !errors.Is(err, ErrBehind) {
		t.Errorf("a page that is there: %v", err)
	}
	mine, err := one.Open(t.Context(), tenant, 1)
	if err != nil {
		t.Fatal(err)
	}
	others := mine
	if err := two.Rewrite(t.Context(), others); err != nil {
		t.Fatal(err)
	}
	if err := one.Rewrite(t.Context(), mine); !errors.Is(err, ErrBehind) {
		t.Errorf("a page that was rewritten: %v", err)
	}
	mine.Jobs = nil
	if err := one.Rewrite(t.Context(), mine); !errors.Is(err, ErrBehind) {
		t.Errorf("removing a page that was rewritten: %v", err)
	}
	if _, err := one.Open(t.Context(), tenant, 2); !errors.Is(err, ErrNotFound) {
		t.Errorf("a page that never was: %v", err)
	}
}

// TestCatchUp: whoever has caught up knows all that was written before, by anybody.
func TestCatchUp(t *testing.T) {
	t.Parallel()
	b := bucket(t)
	writer, h := newHistory(t, b), newHistory(t, b)
	catchUp(t, h) // nothing is there, so nothing has to be watched
	watch(t, h)
	for i := range uint64(20) {
		jobs := some(3, 3*i)
		write(t, writer, jobs)
		catchUp(t, h)
		if _, ok := h.Find(tenant, jobs[2].Record.ID); !ok || h.total.Load() != int64(3*i+3) {
			t.Fatalf("page %d is not known: %d jobs are", i, h.total.Load())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newHistory(t, b).CatchUp(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("without a watch: %v", err)
	}
}

// TestNumbersAreNeverGivenAgain: gateways that start after all pages have gone number on
// from them. If they began anew, one that has been there would make the same page under another number.
func TestNumbersAreNeverGivenAgain(t *testing.T) {
	t.Parallel()
	b := bucket(t)
	h := newHistory(t, b)
	for i := range uint64(3) {
		write(t, h, some(3, 3*i))
	}
	for number := range uint64(3) {
		page, err := h.Open(t.Context(), tenant, number+1)
		if err == nil {
			page.Jobs = nil
			err = h.Rewrite(t.Context(), page)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	late := newHistory(t, b)
	watch(t, late)
	catchUp(t, late)
	if h.Next(tenant) != 4 || late.Next(tenant) != 4 {
		t.Errorf("the next page is %d, of who comes late %d, want 4", h.Next(tenant), late.Next(tenant))
	}
	if names := late.Tenants(); len(names) != 0 {
		t.Errorf("tenants with pages: %v", names)
	}
}

// TestBadPages are left out, and keep nobody from those behind them.
func TestBadPages(t *testing.T) {
	t.Parallel()
	b := bucket(t)
	writer, h := newHistory(t, b), newHistory(t, b)
	for _, key := range []string{"alice.p1", "alice", "other.thing"} {
		if _, err := b.Create(t.Context(), key, []byte("no page")); err != nil {
			t.Fatal(err)
		}
	}
	data, err := schemas.EncodeHistory(tenant, some(3, 0))
	if err == nil {
		_, err = b.Create(t.Context(), "bob.p1", data) // of another tenant
	}
	if err != nil {
		t.Fatal(err)
	}
	watch(t, h)
	if _, err := writer.Write(t.Context(), tenant, writer.Next(tenant), some(3, 0)); !errors.Is(err, ErrBehind) {
		t.Errorf("in the place of a bad page: %v", err)
	}
	watch(t, writer)
	catchUp(t, writer)
	write(t, writer, some(3, 0))
	catchUp(t, h)
	if h.total.Load() != 3 {
		t.Errorf("%d jobs are known, want 3", h.total.Load())
	}
}
