package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"reflect"

	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// badReport says what is wrong with a result.
type badReport string

func (b badReport) Error() string { return string(b) }

// checkObjects makes sure that the result in an event is one, and that what it
// names is in the store as it says. If not, the event becomes a failure. An error
// means that the store could not tell.
func (c *Coordinator) checkObjects(ctx context.Context, rec *schemas.Record, name jobqueue.EventName, e *schemas.Event) error {
	err := checkInline(name, e)
	for _, want := range []struct {
		object *schemas.Object
		name   string
	}{{e.Result, schemas.ObjectResult}, {e.Archive, schemas.ObjectArchive}, {e.Index, schemas.ObjectIndex}} {
		if err == nil && want.object != nil {
			key := schemas.AttemptKey(rec.Tenant, rec.ID, name.Attempt, want.name)
			err = c.checkObject(ctx, key, *want.object)
		}
	}
	if err == nil && e.Result != nil {
		err = c.checkStored(ctx, schemas.AttemptKey(rec.Tenant, rec.ID, name.Attempt, schemas.ObjectResult), name, e)
	}
	var bad badReport
	if !errors.As(err, &bad) {
		return err
	}
	e.Outcome, e.ResultInline, e.Result, e.Archive, e.Index = nil, nil, nil, nil, nil
	e.Failure = schemas.NewFailure(schemas.FailUpload, string(bad))
	return nil
}

// checkInline reads a result that an event holds: it goes into the record.
func checkInline(name jobqueue.EventName, e *schemas.Event) error {
	if e.ResultInline == nil {
		return nil
	}
	return checkResult(name, e, e.ResultInline)
}

// checkStored reads a result that an event names: who asks for the job will be given it.
func (c *Coordinator) checkStored(ctx context.Context, key string, name jobqueue.EventName, e *schemas.Event) error {
	if e.Result.Size > schemas.MaxResultBytes {
		return badReport(fmt.Sprintf("the result has %d bytes; at most %d are taken", e.Result.Size, schemas.MaxResultBytes))
	}
	data, err := c.objects.Document(ctx, key, *e.Result, schemas.MaxResultBytes)
	if errors.Is(err, jobresult.ErrLost) {
		return badReport("the result in the object store is not what was reported")
	}
	if err != nil {
		return err
	}
	return checkResult(name, e, data)
}

// checkResult makes sure that a result says of the attempt what the event says.
func checkResult(name jobqueue.EventName, e *schemas.Event, data []byte) error {
	r, err := schemas.DecodeResult(bytes.NewReader(data))
	switch {
	case err != nil:
		return badReport(err.Error())
	case r.Job != name.Job || r.Attempt != name.Attempt:
		return badReport("the result that was reported is another attempt's")
	case !reflect.DeepEqual(&r.Outcome, e.Outcome) || !reflect.DeepEqual(r.Archive, e.Archive) || !reflect.DeepEqual(r.Index, e.Index):
		return badReport("the result is not what was reported")
	}
	return nil
}

func (c *Coordinator) checkObject(ctx context.Context, key string, o schemas.Object) error {
	err := c.objects.Check(ctx, key, o)
	if lost, ok := errors.AsType[*jobresult.LostError](err); ok {
		return badReport(fmt.Sprintf("%s in the object store is not what was reported: %s", path.Base(key), lost.Why))
	}
	return err
}

// makeRoom stores a result that the record has no room for: after many attempts,
// or with many labels.
func (c *Coordinator) makeRoom(ctx context.Context, rec *schemas.Record) error {
	if rec.ResultInline == nil {
		return nil
	}
	whole, err := marshalRecord(*rec)
	if err != nil || len(whole) <= schemas.MaxRecordBytes {
		return err
	}
	o := schemas.Object{Name: schemas.ObjectResult, Size: int64(len(rec.ResultInline)), SHA256: digestOf(rec.ResultInline)}
	key := schemas.AttemptKey(rec.Tenant, rec.ID, rec.Attempts[len(rec.Attempts)-1].N, o.Name)
	_, err = c.store.Put(ctx, key, bytes.NewReader(rec.ResultInline), objstore.PutOptions{
		Size: o.Size, SHA256: o.SHA256[len(schemas.DigestPrefix):], ContentType: "application/json",
	})
	if err != nil {
		return fmt.Errorf("store result of job %s: %w", rec.ID, err)
	}
	rec.ResultInline, rec.Result = nil, &o
	return nil
}
