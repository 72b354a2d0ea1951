package executor

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/program-explorer/pe/schemas"
)

// maxSpec bounds a specification with its defaults, in bytes: schemas.MaxSpecBytes bounds what was posted.
const maxSpec = 2 * schemas.MaxSpecBytes

// loadSpec takes the specification from the grant, or fetches one that was too large for it.
func (e *Executor) loadSpec(ctx context.Context, a *attempt) error {
	switch {
	case a.grant.Spec != nil:
		a.spec = *a.grant.Spec
		return nil
	case a.grant.SpecURL == nil || a.grant.SpecObject.Size > maxSpec:
		return newFailure(schemas.FailInternal, "the grant has no specification")
	}
	if err := e.fetchSpec(ctx, a); err != nil {
		return fail(schemas.FailStage, fmt.Errorf("specification: %w", err))
	}
	return nil
}

func (e *Executor) fetchSpec(ctx context.Context, a *attempt) error {
	file, err := a.create("spec.json")
	if err != nil {
		return err
	}
	defer file.Close()
	object := a.grant.SpecObject
	if err := e.transfer.get(ctx, *a.grant.SpecURL, object.Size, object.SHA256, file); err != nil {
		return err
	}
	return json.NewDecoder(file).Decode(&a.spec)
}
