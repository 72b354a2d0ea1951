package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/program-explorer/pe/gateway/feeder"
	"github.com/program-explorer/pe/schemas"
)

// refusal is a claim's answer that is not a grant.
type refusal schemas.Answer

func (r refusal) Error() string { return "claim answered " + string(r) }

// claim moves a queued job to running, for the executor that asks first. The
// same claim again gets the same attempt, so that a lost answer costs nothing.
func (c *Coordinator) claim(ctx context.Context, executor string, body []byte) (any, error) {
	claim, err := schemas.DecodeControl[schemas.Claim](body)
	if err != nil {
		return nil, fmt.Errorf("decode claim: %w", err)
	}
	reply, err := c.answerClaim(ctx, executor, claim)
	if err != nil {
		return nil, fmt.Errorf("claim of job %s by %s: %w", claim.Job, executor, err)
	}
	c.metrics.claims.WithLabelValues(string(reply.Answer)).Inc()
	return reply, nil
}

func (c *Coordinator) answerClaim(ctx context.Context, executor string, claim schemas.Claim) (schemas.ClaimReply, error) {
	facts, ok, err := c.known(ctx, executor)
	if err != nil {
		return schemas.ClaimReply{}, err
	}
	if !ok {
		c.log.Warn("claim of an unknown executor", "executor", executor, "job", claim.Job)
		return schemas.ClaimReply{Answer: schemas.AnswerNotYou}, nil
	}
	if again, err := c.withdraw(ctx, claim.Tenant, claim.Job); again || err != nil {
		return schemas.ClaimReply{Answer: schemas.AnswerGone}, err
	}
	var spec *schemas.JobSpec
	var begun bool
	defer func() {
		if begun {
			c.feeder.End(claim.Tenant)
		}
	}()
	rec, err := c.change(ctx, claim.Tenant, claim.Job, func(rec *schemas.Record) (err error) {
		if err := c.mayClaim(rec, facts, claim); err != nil {
			return err
		}
		if !begun && !c.feeder.Begin(claim.Tenant) {
			return errTenantFull
		}
		begun = true
		// Before the claim counts: what cannot be read cannot be granted.
		if spec, err = c.spec(ctx, rec); err != nil {
			return err
		}
		c.rules.claim(rec, c.cfg.Now(), executor, claim.Nonce)
		return nil
	})
	var no refusal
	switch {
	case isNotFound(err):
		return schemas.ClaimReply{Answer: schemas.AnswerGone}, nil
	case errors.Is(err, errGranted):
		if spec, err = c.spec(ctx, &rec); err != nil {
			return schemas.ClaimReply{}, err
		}
	case errors.Is(err, errTenantFull):
		c.feeder.Refused(schemas.RecordKey(claim.Tenant, claim.Job))
		return schemas.ClaimReply{Answer: schemas.AnswerBusy}, nil
	case errors.As(err, &no):
		if schemas.Answer(no) == schemas.AnswerNotYou {
			c.log.Warn("claim of a job that the executor may not run", "executor", executor, "job", claim.Job)
		}
		return schemas.ClaimReply{Answer: schemas.Answer(no)}, nil
	case errors.Is(err, errSpecGone) || errors.Is(err, ErrRecordTooLarge) || errors.Is(err, errNotNamed):
		return c.bury(ctx, rec, err)
	case err != nil:
		return schemas.ClaimReply{}, err
	}
	return c.grant(ctx, rec, spec)
}

// errGranted: this very claim was granted before.
var errGranted = errors.New("granted already")

// errTenantFull: the tenant has as many running as it may. Its offers are held
// back, so this is rare: another gateway offered the job.
var errTenantFull = errors.New("the tenant has as many jobs running as it may")

// errNotNamed: nobody else may run the job, and this executor's owner does not let the tenant.
var errNotNamed = errors.New("the owner of the executor that the job names does not let this tenant name it")

// mayClaim says why the claim is not to be granted now, or nothing.
func (c *Coordinator) mayClaim(rec *schemas.Record, facts schemas.Facts, claim schemas.Claim) error {
	switch a := rec.Current(); {
	case a != nil && a.Executor == facts.Executor && a.Nonce == claim.Nonce:
		return errGranted
	case a != nil:
		return refusal(schemas.AnswerBusy)
	case rec.State != schemas.StateQueued:
		return refusal(schemas.AnswerGone)
	case rec.Follows != "":
		return refusal(schemas.AnswerBusy)
	case !rec.Needs.SatisfiedBy(facts):
		return refusal(schemas.AnswerNotYou)
	case rec.Needs.Executor != "" && !facts.NamedBy(rec.Tenant):
		return errNotNamed
	case pastDeadline(rec, c.cfg.Now()):
		return refusal(schemas.AnswerGone) // it is expired in a moment
	case feeder.UntilDue(time.UnixMicro(rec.NotBeforeUS), c.cfg.Now()) > 0:
		// An offer from before its last attempt: it will be offered again.
		return refusal(schemas.AnswerBusy)
	}
	return nil
}

func (c *Coordinator) grant(ctx context.Context, rec schemas.Record, spec *schemas.JobSpec) (schemas.ClaimReply, error) {
	a := rec.Current()
	if a == nil {
		return schemas.ClaimReply{Answer: schemas.AnswerGone}, nil
	}
	c.metrics.wait.Observe((time.Duration(a.ClaimedUS-rec.QueuedUS) * time.Microsecond).Seconds())
	g := &schemas.Grant{
		Attempt: a.N, Image: rec.Image, Needs: rec.Needs, SpecObject: rec.Spec,
		CreatedUS: rec.CreatedUS, QueuedUS: rec.QueuedUS,
	}
	if rec.Spec.Size <= schemas.MaxGrantedSpec {
		g.Spec = spec
		return schemas.ClaimReply{Answer: schemas.AnswerGranted, Grant: g}, nil
	}
	signed, err := c.store.SignGet(ctx, rec.SpecKey(), 0)
	if err != nil {
		return schemas.ClaimReply{}, fmt.Errorf("sign specification: %w", err)
	}
	g.SpecURL = signedRequest(signed)
	return schemas.ClaimReply{Answer: schemas.AnswerGranted, Grant: g}, nil
}

// bury ends a job that can never be claimed: its specification is no longer
// there, its record has no room for an attempt, or the one executor that it names
// is not for its tenant. Its offer would block others.
func (c *Coordinator) bury(ctx context.Context, rec schemas.Record, cause error) (schemas.ClaimReply, error) {
	rec, err := c.change(ctx, rec.Tenant, rec.ID, func(rec *schemas.Record) error {
		if rec.State != schemas.StateQueued {
			return refusal(schemas.AnswerBusy)
		}
		rec.State, rec.EndedUS = schemas.StateDead, c.cfg.Now().UnixMicro()
		code := schemas.FailInternal
		if errors.Is(cause, errNotNamed) {
			code = schemas.FailCapacity
		}
		rec.Failure = schemas.NewFailure(code, cause.Error())
		if errors.Is(cause, ErrRecordTooLarge) {
			rec.Labels = nil // the failure needs room, too
		}
		return nil
	})
	var no refusal
	if err != nil && !errors.As(err, &no) {
		return schemas.ClaimReply{}, err
	}
	if err == nil {
		c.ended(rec)
	}
	c.log.Error("job that cannot be claimed", "job", rec.ID, "err", cause)
	return schemas.ClaimReply{Answer: schemas.AnswerGone}, nil
}
