package executor

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/schemas"
)

func holder() *Executor {
	return &Executor{metrics: newMetrics(prometheus.NewRegistry()), held: map[schemas.Held]*attempt{}}
}

// A claim that is granted after the grace of a shutdown is over is handed back, too.
func TestLateGrantIsHandedBack(t *testing.T) {
	t.Parallel()
	e, a := holder(), testAttempt(t)
	e.handBack()
	var ctx context.Context
	ctx, a.stop = context.WithCancelCause(t.Context())
	e.hold(a)
	var failure *schemas.Failure
	if err := context.Cause(ctx); !errors.As(err, &failure) || failure.Code != schemas.FailHandback {
		t.Errorf("cause %v", err)
	}
	e.release(a)
	if len(e.held) != 0 {
		t.Errorf("held %v", e.held)
	}
}

// An attempt whose spools could not be made has no log, and says so without a fault.
func TestLogOfAnAttemptThatWasNotOpened(t *testing.T) {
	t.Parallel()
	e, a := holder(), testAttempt(t)
	a.stdout, a.stderr = nil, nil
	_, a.stop = context.WithCancelCause(t.Context())
	e.hold(a)
	reply, err := e.readLogs(schemas.LogsRequest{Held: a.held, Stream: schemas.LiveStderr})
	if err != nil || reply.Gone || reply.End != 0 {
		t.Errorf("%+v, %v", reply, err)
	}
	if err := a.close(); err != nil {
		t.Error(err)
	}
}

func TestCommandsAreChecked(t *testing.T) {
	t.Parallel()
	e := holder()
	for verb, body := range map[string]string{
		"reboot": "{}", schemas.CommandStop: `{"job":"../../x"}`, schemas.CommandLogs: `{`, schemas.CommandPools: `[]`,
	} {
		if reply, err := e.command(t.Context(), verb, []byte(body)); err == nil {
			t.Errorf("%s %s is answered %v", verb, body, reply)
		}
	}
}
