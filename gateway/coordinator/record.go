package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// ErrNotFound: the tenant has no such job.
var ErrNotFound = errors.New("no such job")

// errContended: others wrote the record again and again.
var errContended = errors.New("record is written by too many at once")

const (
	maxTries = 20
	// shortMessage is what is left of the messages of earlier attempts when a record gets too large.
	shortMessage = 80
)

// encodeRecord keeps a record within its bound by cutting what earlier
// attempts had to say.
func encodeRecord(rec schemas.Record) ([]byte, error) {
	data, err := json.Marshal(rec)
	if err == nil && len(data) > schemas.MaxRecordBytes {
		rec.Attempts = slices.Clone(rec.Attempts)
		for i := range rec.Attempts {
			if f := rec.Attempts[i].Failure; f != nil && len(f.Message) > shortMessage {
				short := *f
				short.Message = f.Message[:shortMessage]
				rec.Attempts[i].Failure = &short
			}
		}
		data, err = json.Marshal(rec)
	}
	if err != nil {
		return nil, fmt.Errorf("encode record of job %s: %w", rec.ID, err)
	}
	if len(data) > schemas.MaxRecordBytes {
		return nil, fmt.Errorf("record of job %s has %d bytes, at most %d allowed", rec.ID, len(data), schemas.MaxRecordBytes)
	}
	return data, nil
}

func decodeRecord(key string, data []byte) (rec schemas.Record, err error) {
	if err := json.Unmarshal(data, &rec); err != nil {
		return rec, fmt.Errorf("decode record %.120q: %w", key, err)
	}
	switch {
	case schemas.RecordKey(rec.Tenant, rec.ID) != key || !schemas.ValidJobID(rec.ID) || !schemas.ValidToken(rec.Tenant):
		return rec, fmt.Errorf("record %.120q is of another job", key)
	case !rec.State.Valid() || rec.Version != schemas.RecordVersion:
		return rec, fmt.Errorf("record %.120q has state %.20q and version %d", key, rec.State, rec.Version)
	case rec.State == schemas.StateRunning && len(rec.Attempts) == 0:
		return rec, fmt.Errorf("record %.120q is running without an attempt", key)
	}
	return rec, nil
}

// read gets the record as it is now, from the bucket's leader.
func (c *Coordinator) read(ctx context.Context, tenant, job string) (schemas.Record, uint64, error) {
	key := schemas.RecordKey(tenant, job)
	e, err := c.queue.Jobs.Get(ctx, key)
	if errors.Is(err, jobqueue.ErrNotFound) {
		return schemas.Record{}, 0, fmt.Errorf("job %s: %w", job, ErrNotFound)
	}
	if err != nil {
		return schemas.Record{}, 0, err
	}
	rec, err := decodeRecord(key, e.Value)
	if err != nil {
		return rec, 0, err
	}
	c.learn(rec, e.Revision)
	return rec, e.Revision, nil
}

// change is the one way in which a record is written after its creation. step
// changes the record in memory, or returns an error that says why it does not.
// What is known here may be old: that is safe for a change, which the revision
// guards, but a refusal is believed only of a record that was just read.
func (c *Coordinator) change(ctx context.Context, tenant, job string, step func(*schemas.Record) error) (schemas.Record, error) {
	rec, rev, known := c.state.live(schemas.RecordKey(tenant, job))
	for range maxTries {
		fresh := !known
		if fresh {
			var err error
			if rec, rev, err = c.read(ctx, tenant, job); err != nil {
				return rec, err
			}
		}
		known = false
		rec.Attempts = slices.Clone(rec.Attempts)
		if err := step(&rec); err != nil {
			if fresh {
				return rec, err
			}
			continue
		}
		err := c.write(ctx, rec, rev)
		if err == nil || !errors.Is(err, jobqueue.ErrConflict) {
			return rec, err
		}
		c.metrics.conflicts.Inc()
	}
	return rec, fmt.Errorf("change job %s: %w", job, errContended)
}

func (c *Coordinator) write(ctx context.Context, rec schemas.Record, rev uint64) error {
	data, err := encodeRecord(rec)
	if err != nil {
		return err
	}
	rev, err = c.queue.Jobs.Update(ctx, schemas.RecordKey(rec.Tenant, rec.ID), data, rev)
	if err != nil {
		return err
	}
	c.learn(rec, rev)
	return nil
}
