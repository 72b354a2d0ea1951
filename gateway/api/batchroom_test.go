package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// hold takes room for the tenant.
func (b *room) hold(t *testing.T, tenant string, weight int64) (leave func()) {
	t.Helper()
	leave, err := b.enter(t.Context(), http.Header{}, tenant, weight)
	if err != nil {
		t.Fatalf("tenant %s, %d bytes: %v", tenant, weight, err)
	}
	return leave
}

// TestABatchWaitsBeforeItIsRead: one for which there is no room is not looked at.
func TestABatchWaitsBeforeItIsRead(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.api.batches.patience = time.Millisecond
	refused := func(want kind, after string) {
		t.Helper()
		h.refused(t, want, "POST", "/v1/jobs:batch", "no JSON")
		if got := h.request(t, "POST", "/v1/jobs:batch", "no JSON").Header.Get("Retry-After"); got != after {
			t.Errorf("%s: Retry-After %q", want.name, got)
		}
	}
	leave := h.api.batches.hold(t, schemas.SingleTenant, tenantBatchBytes)
	refused(kindTooManyBatches, "2")
	leave()
	h.refused(t, kindMalformed, "POST", "/v1/jobs:batch", "no JSON")
	for i := range batchBytes / tenantBatchBytes {
		defer h.api.batches.hold(t, fmt.Sprint("tenant-", i), tenantBatchBytes)()
	}
	refused(kindBusy, "1")
}

// TestALargeSubmissionNeedsRoom, as a batch does; a small one does not.
func TestALargeSubmissionNeedsRoom(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.api.batches.patience = time.Millisecond
	large := `{"image":"gcc","args":["` + strings.Repeat("a", smallSubmission) + `"]}`
	leave := h.api.batches.hold(t, schemas.SingleTenant, tenantBatchBytes)
	h.refused(t, kindTooManyBatches, "POST", "/v1/jobs", large)
	ask[schemas.Job](t, h, 202, "POST", "/v1/jobs", `{"image":"gcc"}`)
	leave()
	ask[schemas.Job](t, h, 202, "POST", "/v1/jobs", large)
	if n := len(h.api.batches.tenants); n != 0 {
		t.Errorf("%d tenants still have room", n)
	}
}

func TestRoomForBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		room := newBatchRoom()
		first := room.hold(t, "alice", batchWeight(-1))
		time.AfterFunc(time.Second, first)
		begun := time.Now()
		second := room.hold(t, "alice", batchWeight(schemas.MaxBatchBytes)) // waits for the first
		if took := time.Since(begun); took != time.Second {
			t.Errorf("the second went on after %s", took)
		}
		bob := room.hold(t, "bob", batchWeight(0)) // alice is not in the way
		begun = time.Now()
		if _, err := room.enter(t.Context(), http.Header{}, "alice", batchWeight(1)); err == nil || time.Since(begun) != roomPatience {
			t.Errorf("one more than there is room for: %v after %s", err, time.Since(begun))
		}
		left, leave := context.WithCancel(t.Context())
		leave()
		if _, err := room.enter(left, http.Header{}, "alice", 1); !errors.Is(err, context.Canceled) {
			t.Errorf("a client that left: %v", err)
		}
		second()
		bob()
		if len(room.tenants) != 0 || !room.all.TryAcquire(batchBytes) {
			t.Errorf("something is left behind: %d tenants", len(room.tenants))
		}
	})
}

func TestWeightOfABatch(t *testing.T) {
	t.Parallel()
	for length, want := range map[int64]int64{-1: schemas.MaxBatchBytes, 0: minBatchWeight, 1 << 20: 1 << 20, schemas.MaxBatchBytes: schemas.MaxBatchBytes} {
		if got := batchWeight(length); got != want {
			t.Errorf("length %d counts as %d, want %d", length, got, want)
		}
	}
}
