package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// signTries is the patience with gateways that are away: what an attempt has
// done until then is worth waiting for longer than one of them takes to restart.
var signTries = patience{tries: 10, pause: 100 * time.Millisecond}

// sign asks for signed requests; the answer holds exactly as many as were asked for.
func (e *Executor) sign(ctx context.Context, a *attempt, ask schemas.Sign) (schemas.SignReply, error) {
	ask.Tenant, ask.Job, ask.Attempt = a.held.Tenant, a.held.Job, a.held.Attempt
	var reply schemas.SignReply
	err := signTries.retry(ctx, func() error {
		reply = schemas.SignReply{}
		if err := e.ask(ctx, schemas.VerbSign, ask, &reply); err != nil {
			return err
		}
		return checkSigned(ask, reply)
	})
	if err != nil {
		return reply, fmt.Errorf("get signed requests: %w", err)
	}
	return reply, nil
}

func checkSigned(ask schemas.Sign, reply schemas.SignReply) error {
	switch {
	case reply.Stop:
		return final(&stopped{"no longer this executor's"})
	case reply.Refused != "":
		return final(errors.New("refused: " + reply.Refused))
	case len(reply.Get) != len(ask.Get) || len(reply.Put) != len(ask.Put):
		return final(errors.New("another number came than was asked for"))
	}
	return nil
}
