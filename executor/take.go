package executor

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Tries to get an answer to one claim; the nonce makes repeating it harmless.
const (
	claimTries   = 3
	claimTimeout = 5 * time.Second
	// nakDelay is how long an offer rests after a claim that nobody answered.
	nakDelay = 2 * time.Second
)

// takeOffers takes one offer for every free slot until ctx ends.
func (e *Executor) takeOffers(ctx context.Context) error {
	for {
		if err := e.slots.take(ctx); err != nil {
			return nil
		}
		offer, err := e.puller.Next(ctx)
		if err != nil {
			e.slots.give()
			return nil // Next fails only when ctx has ended
		}
		go func() {
			defer e.slots.give()
			e.handle(context.WithoutCancel(ctx), offer)
		}()
	}
}

// handle leads one offer to its end: claimed by somebody else, or run and reported.
func (e *Executor) handle(ctx context.Context, offer *jobqueue.Offer) {
	a, err := e.claim(ctx, offer)
	if err != nil {
		e.log.Error("claim", "job", offer.Job, "err", err)
	}
	if a == nil {
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	a.stop = cancel
	e.hold(a)
	log := e.log.With("job", a.held.Job, "attempt", a.held.Attempt)
	log.Info("job claimed", "pool", offer.Pool)
	event, err := e.process(ctx, a)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause // whatever broke, it broke because the attempt was stopped
	}
	e.report(context.WithoutCancel(ctx), a, event, err)
	// Held until reported: a heartbeat in between must not make it look lost.
	e.release(a)
	cancel(nil)
	if err := a.close(); err != nil {
		log.Warn("remove attempt", "err", err)
	}
}

// claim asks a gateway for the offered job. Without an attempt and without an
// error somebody else has it. The offer is answered in every case.
func (e *Executor) claim(ctx context.Context, offer *jobqueue.Offer) (*attempt, error) {
	claim := schemas.Claim{Job: offer.Job, Tenant: offer.Tenant, Nonce: rand.Text()}
	reply, err := e.askClaim(ctx, claim)
	if err != nil {
		e.metrics.claims.WithLabelValues("none").Inc()
		return nil, errors.Join(err, offer.Nak(nakDelay))
	}
	e.metrics.claims.WithLabelValues(string(reply.Answer)).Inc()
	if err := offer.Ack(); err != nil {
		e.log.Warn("acknowledge offer", "job", offer.Job, "err", err)
	}
	if reply.Answer == schemas.AnswerNotYou {
		return nil, errors.New("the gateway says that this executor must not run it")
	}
	if reply.Answer != schemas.AnswerGranted || reply.Grant == nil {
		return nil, nil
	}
	held := schemas.Held{Tenant: offer.Tenant, Job: offer.Job, Attempt: reply.Grant.Attempt}
	a, err := e.openAttempt(held, claim.Nonce, *reply.Grant, offer.Received)
	if err != nil {
		e.report(ctx, &attempt{held: held, nonce: claim.Nonce}, schemas.Event{}, fail(schemas.FailInternal, err))
		return nil, err
	}
	return a, nil
}

func (e *Executor) askClaim(ctx context.Context, claim schemas.Claim) (reply schemas.ClaimReply, err error) {
	for range claimTries {
		ask, cancel := context.WithTimeout(ctx, claimTimeout)
		err = e.ask(ask, schemas.VerbClaim, claim, &reply)
		cancel()
		if err == nil {
			return reply, nil
		}
	}
	return reply, fmt.Errorf("claim not answered: %w", err)
}

// loadSpec takes the specification from the grant, or fetches one that was too large for it.
func (e *Executor) loadSpec(ctx context.Context, a *attempt) error {
	switch {
	case a.grant.Spec != nil:
		a.spec = *a.grant.Spec
		return nil
	case a.grant.SpecURL == nil || a.grant.SpecObject.Size > 2*schemas.MaxSpecBytes:
		return schemas.NewFailure(schemas.FailInternal, "the grant has no specification")
	}
	path := filepath.Join(a.dir, "spec.json")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fail(schemas.FailStage, err)
	}
	defer file.Close()
	object := a.grant.SpecObject
	if err := e.transfer.get(ctx, *a.grant.SpecURL, object.Size, object.SHA256, file); err != nil {
		return fail(schemas.FailStage, fmt.Errorf("specification: %w", err))
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &a.spec)
	}
	if err != nil {
		return fail(schemas.FailInternal, fmt.Errorf("specification: %w", err))
	}
	return nil
}
