package retention

import (
	"context"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
)

// Inputs are rules for blobs that everybody who stores, uses or deletes one
// keeps to, so that no job ever finds an input gone that it was promised.
//
// A blob has one key, its digest's, and an object store can neither touch nor
// conditionally delete. With K the time to keep inputs, and a blob's age
// counted from its last upload:
//
//	age < 3K/8   "is it missing?" says no, and an upload is not read
//	age < K/2    a submission may name it
//	age ≥ K      the sweep may delete it, unless a job needs it
//
// A submission creates its record within K/8 of looking at its inputs. The sweep
// knows what jobs need from a look at all records, made at most K/8 before it
// deletes.
//
// Why a submission is safe from the sweep: it saw its blob younger than K/2 at
// an instant t, and has its record by t+K/8. If the blob was not uploaded again,
// the sweep deletes it at t+K/2 or later, knowing all records of t+3K/8, so it
// knows this one. The K/4 between is what clocks may be apart.
//
// Why an upload is safe from the sweep: the sweep may have seen the old blob just
// before, and delete the new one just after. So the sweep opens a window: a note
// under one key that inputs are being deleted, before it looks at their age for
// the last time, and takes the note back when its deletions have taken effect. One
// sweep at a time. An upload looks for the note after it has stored the blob, waits
// while there is one, and then looks whether the blob is still there. Windows that
// were opened before have had all their effect by then, and one that is opened later
// sees the new age. If the blob is gone, the client is told to send it again.
//
// Why the sweep need not read all specifications: a job was created while its
// blobs were younger than 5K/8. Of a job that is younger than K/8 when the sweep
// looks, they are younger than 7K/8 when it deletes. Of older jobs it reads what
// they name, and keeps that: of all that have not ended, and of the dead, which may
// be brought back.
type Inputs struct {
	keep   time.Duration
	now    func() time.Time
	bucket *jobqueue.Bucket
}

// Missing reports whether a blob that was uploaded then shall be uploaded again before it is used.
func (i *Inputs) Missing(uploaded time.Time) bool { return i.older(uploaded, 3*i.keep/8) }

// Usable reports whether a submission may name a blob that was uploaded then.
func (i *Inputs) Usable(uploaded time.Time) bool { return !i.older(uploaded, i.keep/2) }

// Until is when what Usable says now has been said too long ago to create a
// record; zero for never.
func (i *Inputs) Until() time.Time {
	if i.keep == 0 {
		return time.Time{}
	}
	return i.now().Add(i.keep / 8)
}

// garbage reports whether a blob is old enough to go, if no job needs it.
func (i *Inputs) garbage(uploaded time.Time) bool { return i.older(uploaded, i.keep) }

func (i *Inputs) older(uploaded time.Time, age time.Duration) bool {
	return i.keep > 0 && i.now().Sub(uploaded) >= age
}

const (
	quietPoll     = 20 * time.Millisecond
	quietPatience = 10 * time.Second
)

// Quiet returns once no sweep deletes inputs that began before the call. A blob
// that was stored before the call, and is there after it, stays. [ErrSweeping]
// if that takes too long.
func (i *Inputs) Quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, quietPatience, ErrSweeping)
	defer cancel()
	for {
		r, _, err := readLease(ctx, i.bucket)
		if err != nil {
			return err
		}
		if !r.Inputs || r.over(i.now()) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(quietPoll):
		}
	}
}
