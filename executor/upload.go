package executor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/schemas"
)

// upload stores the attempt's objects, and returns the event that reports it. A
// small result needs no object: it travels in the event.
func (e *Executor) upload(ctx context.Context, a *attempt, c *collected) (schemas.Event, error) {
	end := a.timeline.begin(schemas.SpanUploaded)
	if err := e.store(ctx, a, c.objects...); err != nil {
		return schemas.Event{}, fail(schemas.FailUpload, err)
	}
	end()
	// The result's own upload counts to "reported": a span can't hold its own end.
	c.result.Spans = a.timeline.sorted()
	text, err := json.Marshal(c.result)
	if err != nil {
		return schemas.Event{}, fail(schemas.FailInternal, err)
	}
	event := schemas.Event{
		Tenant:  a.held.Tenant,
		Nonce:   a.nonce,
		Outcome: &c.result.Outcome,
		Archive: c.result.Archive,
		Index:   c.result.Index,
	}
	if len(text) <= schemas.MaxInline {
		event.ResultInline = text
	} else if event.Result, err = e.storeResult(ctx, a, text); err != nil {
		return schemas.Event{}, fail(schemas.FailUpload, err)
	}
	event.AtUS = time.Now().UnixMicro()
	return event, nil
}

func (e *Executor) storeResult(ctx context.Context, a *attempt, text []byte) (*schemas.Object, error) {
	result, err := a.write(schemas.ObjectResult, func(w io.Writer) error { _, err := w.Write(text); return err })
	if err == nil {
		err = e.store(ctx, a, result)
	}
	return &result.Object, err
}

// store has the gateway sign a request for each object and sends them.
func (e *Executor) store(ctx context.Context, a *attempt, objects ...localObject) error {
	if len(objects) == 0 {
		return nil
	}
	requests, err := e.signPuts(ctx, a, objects)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for i, o := range objects {
		group.Go(func() error {
			if err := e.storeOne(ctx, a, requests[i], o); err != nil {
				return fmt.Errorf("store %s: %w", o.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (e *Executor) signPuts(ctx context.Context, a *attempt, objects []localObject) ([]schemas.SignedRequest, error) {
	ask := schemas.Sign{}
	for _, o := range objects {
		ask.Put = append(ask.Put, o.Object)
	}
	reply, err := e.sign(ctx, a, ask)
	return reply.Put, err
}

func (e *Executor) storeOne(ctx context.Context, a *attempt, req schemas.SignedRequest, o localObject) error {
	file, err := os.Open(o.path)
	if err != nil {
		return err
	}
	defer file.Close()
	again := func(ctx context.Context) (req schemas.SignedRequest, err error) {
		requests, err := e.signPuts(ctx, a, []localObject{o})
		if err == nil {
			req = requests[0]
		}
		return req, err
	}
	return resigned(ctx, req, again, func(req schemas.SignedRequest) error {
		return e.transfer.put(ctx, req, file, o.Size)
	})
}
