package retention

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
)

const (
	leaseKey = "lease"
	// leaseLife is how long a sweeper that was not heard of keeps the others out.
	leaseLife = time.Minute
	// zombieLife is how long after its sender gave up a deletion may still take
	// effect somewhere in the object store, and how far two clocks may be apart.
	zombieLife = 2 * time.Minute
	// stopPatience is how long a sweep that is told to stop waits for the object store.
	stopPatience = 5 * time.Second
)

// ErrSweeping: another sweep is under way; one at a time may delete.
var ErrSweeping = errors.New("another sweep is under way")

// errLeaseLost: somebody else sweeps now.
var errLeaseLost = errors.New("the sweep was taken over by another gateway")

// leaseRecord is the value under leaseKey: who sweeps now.
type leaseRecord struct {
	Holder  string `json:"holder"`
	UntilUS int64  `json:"until_us"`
	// Inputs says that inputs are being deleted now.
	Inputs bool `json:"inputs,omitempty"`
}

// over reports whether nothing that the holder began can still have an effect.
func (l leaseRecord) over(now time.Time) bool {
	return l.UntilUS+zombieLife.Microseconds() < now.UnixMicro()
}

// lease is held by a sweep that deletes.
type lease struct {
	bucket *jobqueue.Bucket
	now    func() time.Time
	record leaseRecord
	rev    uint64
}

// takeLease is [ErrSweeping] if somebody else has it.
func takeLease(ctx context.Context, bucket *jobqueue.Bucket, holder string, now func() time.Time) (*lease, error) {
	l := &lease{bucket: bucket, now: now, record: leaseRecord{Holder: holder + " " + rand.Text()}}
	other, rev, err := readLease(ctx, bucket)
	if err != nil {
		return nil, err
	}
	if rev != 0 && !other.over(now()) {
		return nil, fmt.Errorf("%w, by %s", ErrSweeping, other.Holder)
	}
	l.rev = rev
	if err := l.write(ctx, leaseLife, false); errors.Is(err, errLeaseLost) {
		return nil, ErrSweeping
	} else if err != nil {
		return nil, err
	}
	return l, nil
}

// readLease gives revision 0 if there never was one.
func readLease(ctx context.Context, bucket *jobqueue.Bucket) (r leaseRecord, rev uint64, err error) {
	e, err := bucket.Get(ctx, leaseKey)
	if errors.Is(err, jobqueue.ErrNotFound) {
		return r, 0, nil
	}
	if err != nil {
		return r, 0, fmt.Errorf("read the sweep's lease: %w", err)
	}
	if err := json.Unmarshal(e.Value, &r); err != nil {
		return r, 0, fmt.Errorf("decode the sweep's lease: %w", err)
	}
	return r, e.Revision, nil
}

func (l *lease) write(ctx context.Context, life time.Duration, inputs bool) error {
	l.record.UntilUS, l.record.Inputs = l.now().Add(life).UnixMicro(), inputs
	data, err := json.Marshal(l.record)
	if err != nil {
		return fmt.Errorf("encode the sweep's lease: %w", err)
	}
	if l.rev == 0 {
		l.rev, err = l.bucket.Create(ctx, leaseKey, data)
	} else {
		l.rev, err = l.bucket.Update(ctx, leaseKey, data, l.rev)
	}
	if errors.Is(err, jobqueue.ErrConflict) {
		return errLeaseLost
	}
	return err
}

// hold makes sure that the lease lasts for a while.
func (l *lease) hold(ctx context.Context) error {
	if l.record.UntilUS-l.now().UnixMicro() > leaseLife.Microseconds()/2 {
		return nil
	}
	return l.write(ctx, leaseLife, false)
}

// window runs delete, which deletes inputs, while everybody can see that
// inputs are being deleted. It must not outlast the lease: if it is cut off, its
// deletions may be under way still, and the window stays open until they can't be.
// So a sweep that is told to stop is not cut off: delete begins nothing more,
// and has [stopPatience] for what it began.
func (l *lease) window(ctx context.Context, delete func(context.Context) error) error {
	if err := l.write(ctx, leaseLife, true); err != nil {
		return err
	}
	inside, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseLife)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(stopPatience, cancel) })
	defer stop()
	if err := delete(inside); err != nil {
		return err
	}
	return l.write(inside, leaseLife, false)
}

// release lets the next one in at once, if nothing is under way.
func (l *lease) release(ctx context.Context) error {
	if l.record.Inputs {
		return nil
	}
	return l.write(ctx, -2*zombieLife, false)
}
