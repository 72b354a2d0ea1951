package executor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

const (
	// claimTimeout bounds one try at an answer to a claim; the nonce makes
	// repeating it harmless. All tries together are shorter than jobqueue.AckWait.
	claimTimeout = 5 * time.Second
	// nakDelay is how long an offer rests after a claim that nobody answered.
	nakDelay = 2 * time.Second
)

// claimTries are the tries to get an answer to one claim.
var claimTries = patience{tries: 3, pause: 200 * time.Millisecond}

// maxTakers bounds how many free slots wait for an offer at once, each with a pull
// at every pool. Of a burst the rest is taken as fast as these can ask again.
const maxTakers = 8

// takeOffers takes one offer for every free slot until ctx ends. Every slot waits
// by itself: one that does not is passed over for an executor that fits worse.
func (e *Executor) takeOffers(ctx context.Context) {
	var takers sync.WaitGroup
	for range min(e.cfg.Slots+e.cfg.StageAhead, maxTakers) {
		takers.Go(func() { e.takeMore(ctx) })
	}
	takers.Wait()
}

func (e *Executor) takeMore(ctx context.Context) {
	for {
		if err := e.rest.wait(ctx); err != nil {
			return
		}
		if err := e.transfer.store.wait(ctx); err != nil {
			return
		}
		if err := e.slots.take(ctx); err != nil {
			return
		}
		offer, err := e.puller.Next(ctx)
		if err != nil { // ctx has ended
			if offer != nil {
				e.giveBack(offer)
			}
			e.slots.give()
			return
		}
		if e.rest.left() > 0 || e.transfer.store.away() { // since this slot began to wait
			e.giveBack(offer)
			e.slots.give()
			continue
		}
		go func() {
			defer e.slots.give()
			e.handle(ctx, offer)
		}()
	}
}

// giveBack lets another executor have an offer that came too late.
func (e *Executor) giveBack(offer *jobqueue.Offer) {
	if err := offer.Nak(0); err != nil {
		e.log.Warn("offer not given back", "job", offer.Job, "err", err)
	}
}

// handle leads one offer to its end: claimed by somebody else, or run and
// reported. ctx's end stops none of it: that is for Executor.handBack.
func (e *Executor) handle(ctx context.Context, offer *jobqueue.Offer) {
	ctx = context.WithoutCancel(ctx)
	a, err := e.claim(ctx, offer)
	if err != nil {
		e.log.Error("offer not taken", "job", offer.Job, "err", err)
	}
	if a == nil {
		return
	}
	ctx, a.stop = context.WithCancelCause(ctx)
	defer a.stop(nil)
	log := e.log.With("job", a.held.Job, "attempt", a.held.Attempt)
	log.Info("job claimed", "pool", offer.Pool)
	err = a.open(e)
	e.hold(a)
	var event schemas.Event
	if err == nil {
		event, err = e.process(ctx, a)
	}
	if err != nil {
		// What has failed may still run: it must not when somebody begins anew.
		a.letGo()
	}
	e.report(context.WithoutCancel(ctx), a, event, becauseOf(context.Cause(ctx), err))
	// Held until reported: a heartbeat in between must not make it look lost.
	e.release(a)
	if err := a.close(); err != nil {
		log.Warn("attempt left something behind", "err", err)
	}
}

// becauseOf is what to report: whatever broke, it broke because the attempt was
// stopped, if it was. One that a gateway stopped is not reported even if it
// came to its end meanwhile; one that was to be handed back then is.
func becauseOf(cause, err error) error {
	var stop *stopped
	if cause != nil && (err != nil || errors.As(cause, &stop)) {
		return cause
	}
	return err
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
		// It will be offered again, and then the answer is busy or gone.
		e.log.Warn("acknowledge offer", "job", offer.Job, "err", err)
	}
	switch {
	case reply.Answer == schemas.AnswerNotYou:
		return nil, errors.New("the gateway says that this executor must not run it")
	case reply.Answer != schemas.AnswerGranted:
		return nil, nil
	case reply.Grant == nil:
		return nil, errors.New("the gateway granted it without saying what")
	}
	held := schemas.Held{Tenant: offer.Tenant, Job: offer.Job, Attempt: reply.Grant.Attempt}
	return e.newAttempt(held, claim.Nonce, *reply.Grant, offer.Received), nil
}

func (e *Executor) askClaim(ctx context.Context, claim schemas.Claim) (reply schemas.ClaimReply, err error) {
	err = claimTries.retry(ctx, func() error {
		ask, cancel := context.WithTimeout(ctx, claimTimeout)
		defer cancel()
		return e.ask(ask, schemas.VerbClaim, claim, &reply)
	})
	if err != nil {
		return reply, fmt.Errorf("claim not answered: %w", err)
	}
	return reply, nil
}
