package coordinator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// ErrNotFound: the tenant has no such job.
var ErrNotFound = errors.New("no such job")

// errContended: others wrote the record again and again.
var errContended = errors.New("record is written by too many at once")

// ErrRecordTooLarge: what the client says of a job does not fit into its record.
var ErrRecordTooLarge = errors.New("labels, requirements and names are too long together")

const (
	maxTries = 20
	// maxAdmitted bounds a new record, in bytes. The rest is for what comes
	// later: maxHistory attempts without messages and an outcome take less than 4 KiB.
	maxAdmitted = schemas.MaxRecordBytes - 4<<10
)

// encodeRecord keeps a record within its bound by cutting messages: those of
// attempts first. [ErrRecordTooLarge] if it does not fit without any.
func encodeRecord(rec schemas.Record) ([]byte, error) {
	data, err := marshalRecord(rec)
	for _, room := range []struct{ attempt, end int }{{80, schemas.MaxFailureMessage}, {80, 256}, {0, 80}, {0, 0}} {
		if err != nil || len(data) <= schemas.MaxRecordBytes {
			break
		}
		data, err = marshalRecord(clipped(rec, room.attempt, room.end))
	}
	if err != nil {
		return nil, fmt.Errorf("encode record of job %s: %w", rec.ID, err)
	}
	if len(data) > schemas.MaxRecordBytes {
		return nil, fmt.Errorf("record of job %s has %d bytes: %w", rec.ID, len(data), ErrRecordTooLarge)
	}
	return data, nil
}

// marshalRecord does not escape for HTML: a label's one byte would become six.
func marshalRecord(rec schemas.Record) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(rec)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// clipped is a copy of rec with messages of so many bytes in JSON: those of
// attempts, and those that say how the job ended.
func clipped(rec schemas.Record, attempt, end int) schemas.Record {
	rec.Attempts = slices.Clone(rec.Attempts)
	for i := range rec.Attempts {
		rec.Attempts[i].Failure = clippedFailure(rec.Attempts[i].Failure, attempt)
	}
	rec.Failure = clippedFailure(rec.Failure, end)
	if rec.Outcome != nil {
		o := *rec.Outcome
		o.Message = clip(o.Message, end)
		rec.Outcome = &o
	}
	return rec
}

func clippedFailure(f *schemas.Failure, room int) *schemas.Failure {
	if f == nil {
		return nil
	}
	short := *f
	short.Message = clip(f.Message, room)
	return &short
}

// clip cuts s so that it takes at most room bytes in JSON.
func clip(s string, room int) string {
	for i, r := range s {
		if room -= jsonBytes(r); room < 0 {
			return s[:i]
		}
	}
	return s
}

// jsonBytes is the most that a rune takes in JSON.
func jsonBytes(r rune) int {
	switch {
	case r == '"' || r == '\\':
		return 2
	case r < ' ' || r == '\u2028' || r == '\u2029' || r == utf8.RuneError:
		return 6 // \u and four digits
	}
	return utf8.RuneLen(r)
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

// read gets the record as it is now, from the bucket's leader or from history.
func (c *Coordinator) read(ctx context.Context, tenant, job string) (schemas.Record, uint64, error) {
	rec, rev, _, err := c.get(ctx, tenant, job)
	return rec, rev, err
}

// decode takes a record that was just read.
func (c *Coordinator) decode(key string, e jobqueue.Entry) (schemas.Record, error) {
	rec, err := decodeRecord(key, e.Value)
	if err == nil {
		c.learn(rec, e.Revision)
	}
	return rec, err
}

// change is the one way in which a record is written after its creation. step
// changes the record in memory, or returns an error that says why it does not.
// What is known here may be old: that is safe for a change, which the revision
// guards, but a refusal is believed only of a record that was just read.
func (c *Coordinator) change(ctx context.Context, tenant, job string, step func(*schemas.Record) error) (schemas.Record, error) {
	rec, rev, known := c.state.live(schemas.RecordKey(tenant, job))
	for range maxTries {
		fresh, past := !known, false
		if fresh {
			var err error
			if rec, rev, past, err = c.get(ctx, tenant, job); err != nil {
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
		if past {
			return rec, fmt.Errorf("change job %s: %w", job, errPast)
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
	if rec.State.Terminal() {
		c.cfg.OnEnded(rec, rev, true)
	}
	return nil
}
