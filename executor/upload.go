package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
)

// upload stores the attempt's objects, the result last, and returns the event that reports it.
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
	result, err := a.keep(schemas.ObjectResult, text)
	if err != nil {
		return schemas.Event{}, fail(schemas.FailUpload, err)
	}
	if err := e.store(ctx, a, result); err != nil {
		return schemas.Event{}, fail(schemas.FailUpload, err)
	}
	return schemas.Event{
		Tenant:  a.held.Tenant,
		Nonce:   a.nonce,
		Outcome: &c.result.Outcome,
		Result:  &result.Object,
		Archive: c.result.Archive,
		Index:   c.result.Index,
		AtUS:    time.Now().UnixMicro(),
	}, nil
}

// store has the gateway sign a request for each object and sends them.
func (e *Executor) store(ctx context.Context, a *attempt, objects ...localObject) error {
	if len(objects) == 0 {
		return nil
	}
	ask := schemas.Sign{}
	for _, o := range objects {
		ask.Put = append(ask.Put, o.Object)
	}
	reply, err := e.sign(ctx, a, ask)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for i, o := range objects {
		group.Go(func() error { return e.storeOne(ctx, reply.Put[i], o) })
	}
	return group.Wait()
}

func (e *Executor) storeOne(ctx context.Context, req schemas.SignedRequest, o localObject) error {
	file, err := os.Open(o.path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := e.transfer.put(ctx, req, file, o.Size); err != nil {
		return fmt.Errorf("store %s: %w", o.Name, err)
	}
	return nil
}

// sign asks for signed requests; the answer holds exactly as many as were asked for.
func (e *Executor) sign(ctx context.Context, a *attempt, ask schemas.Sign) (schemas.SignReply, error) {
	ask.Tenant, ask.Job, ask.Attempt = a.held.Tenant, a.held.Job, a.held.Attempt
	var reply schemas.SignReply
	if err := e.ask(ctx, schemas.VerbSign, ask, &reply); err != nil {
		return reply, fmt.Errorf("get signed requests: %w", err)
	}
	switch {
	case reply.Stop:
		return reply, &stopped{reason: "no longer this executor's", silent: true}
	case reply.Refused != "":
		return reply, errors.New("gateway signs nothing: " + reply.Refused)
	case len(reply.Get) != len(ask.Get) || len(reply.Put) != len(ask.Put):
		return reply, errors.New("gateway signed another number of requests than asked for")
	}
	return reply, nil
}

// imageFailure tells what trying again may mend from what it can't.
func imageFailure(err error) error {
	var image *imagesync.Error
	switch {
	case !errors.As(err, &image):
		return fail(schemas.FailStage, err) // a fault of this host
	case image.Retryable():
		return fail(schemas.FailImagePull, err)
	default:
		return fail(schemas.FailImage, err)
	}
}
