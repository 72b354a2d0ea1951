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
	err := c.checkEvidence(ctx, rec, name, e)
	var bad badReport
	if !errors.As(err, &bad) {
		return err
	}
	e.Outcome, e.ResultInline, e.Result, e.Archive, e.Index = nil, nil, nil, nil, nil
	e.Failure = schemas.NewFailure(schemas.FailUpload, string(bad))
	return nil
}

// checkEvidence is a [badReport] for what is not as the event says. A result that
// the event holds is read first: it costs no request.
func (c *Coordinator) checkEvidence(ctx context.Context, rec *schemas.Record, name jobqueue.EventName, e *schemas.Event) (err error) {
	keys := func(object string) string { return schemas.AttemptKey(rec.Tenant, rec.ID, name.Attempt, object) }
	var result schemas.Result
	if e.ResultInline != nil {
		if result, err = checkResult(name, e, e.ResultInline); err != nil {
			return err
		}
	}
	if err := c.checkAll(ctx, keys, []evidence{{e.Result, schemas.ObjectResult}, {e.Archive, schemas.ObjectArchive}, {e.Index, schemas.ObjectIndex}}); err != nil {
		return err
	}
	if e.Result != nil {
		if result, err = c.checkStored(ctx, keys(schemas.ObjectResult), name, e); err != nil {
			return err
		}
	}
	return c.checkAll(ctx, keys, []evidence{{result.Stdout.Log, schemas.ObjectStdout}, {result.Stderr.Log, schemas.ObjectStderr}})
}

// evidence is an object that an attempt says it stored; nil for none.
type evidence struct {
	object *schemas.Object
	name   string
}

func (c *Coordinator) checkAll(ctx context.Context, keys func(string) string, all []evidence) error {
	for _, want := range all {
		if want.object == nil {
			continue
		}
		if want.object.Name != want.name {
			return badReport(fmt.Sprintf("what is to be %s was reported as %.80q", want.name, want.object.Name))
		}
		if err := c.checkObject(ctx, keys(want.name), *want.object); err != nil {
			return err
		}
	}
	return nil
}

// checkStored reads a result that an event names: who asks for the job will be given it.
func (c *Coordinator) checkStored(ctx context.Context, key string, name jobqueue.EventName, e *schemas.Event) (r schemas.Result, err error) {
	if e.Result.Size > schemas.MaxResultBytes {
		return r, badReport(fmt.Sprintf("the result has %d bytes; at most %d are taken", e.Result.Size, schemas.MaxResultBytes))
	}
	data, err := c.objects.Document(ctx, key, *e.Result, schemas.MaxResultBytes)
	if errors.Is(err, jobresult.ErrLost) {
		return r, badReport("the result in the object store is not what was reported")
	}
	if err != nil {
		return r, err
	}
	return checkResult(name, e, data)
}

// checkResult makes sure that a result says of the attempt what the event says.
func checkResult(name jobqueue.EventName, e *schemas.Event, data []byte) (schemas.Result, error) {
	r, err := schemas.DecodeResult(bytes.NewReader(data))
	switch {
	case err != nil:
		return r, badReport(err.Error())
	case r.Job != name.Job || r.Attempt != name.Attempt:
		return r, badReport("the result that was reported is another attempt's")
	case !reflect.DeepEqual(&r.Outcome, e.Outcome) || !reflect.DeepEqual(r.Archive, e.Archive) || !reflect.DeepEqual(r.Index, e.Index):
		return r, badReport("the result is not what was reported")
	}
	return r, nil
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
