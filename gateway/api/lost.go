package api

import (
	"context"
	"errors"
	"path"

	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/schemas"
)

// surely tells a loss from the end of an object's time: a record that was read
// just before names objects that are rightly gone if the job has expired or was
// removed since. Other errors stay as they are.
func (a *API) surely(ctx context.Context, r schemas.Record, err error) error {
	if !errors.Is(err, jobresult.ErrLost) {
		return err
	}
	newest, readErr := a.Jobs.Get(ctx, r.Tenant, r.ID)
	switch {
	case readErr != nil:
		return readErr
	case superseded(r, newest):
		return expired(r)
	}
	return err
}

// superseded reports whether what a record names may be gone because of what became
// of the job since: it has expired, or another one has its id.
func superseded(r, newest schemas.Record) bool {
	return newest.PurgedUS != r.PurgedUS || newest.CreatedUS != r.CreatedUS
}

func expired(r schemas.Record) error {
	return kindExpired.problem("what job "+r.ID+" left has expired", "run it again; whoever runs the gateway says how long outputs are kept")
}

// lostProblem says which object it is: its key begins with what the client has no business with.
func lostProblem(lost *jobresult.LostError) *schemas.ProblemDocument {
	return kindLost.problem(path.Base(lost.Key)+" of the job is not in the object store, or is not what was stored",
		"run the job again, and tell whoever runs the gateway")
}
