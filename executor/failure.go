package executor

import (
	"context"
	"errors"
	"io/fs"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
)

// fail gives an error the code under which it is reported, unless it has one
// or is the attempt's own cancellation.
func fail(code schemas.FailureCode, err error) error {
	var known *schemas.Failure
	var stop *stopped
	if errors.As(err, &known) || errors.As(err, &stop) {
		return err
	}
	return newFailure(code, err.Error())
}

// failureOf is what is reported of an error.
func failureOf(err error) *schemas.Failure {
	var failure *schemas.Failure
	if errors.As(err, &failure) {
		return failure
	}
	return newFailure(schemas.FailInternal, err.Error())
}

// imageFailure tells what trying again may mend from what it can't.
func imageFailure(err error) error {
	var image *imagesync.Error
	switch {
	case !errors.As(err, &image), errors.Is(err, context.Canceled):
		return fail(schemas.FailStage, err) // a fault of this host
	case image.Retryable():
		return fail(schemas.FailImagePull, err)
	default:
		return fail(schemas.FailImage, err)
	}
}

// machineFailure tells a machine that did not start from one that broke, and
// both from an image that can't be prepared anywhere.
func machineFailure(err error) error {
	var start *StartError
	var warmup *WarmupError
	switch {
	case errors.As(err, &warmup):
		return fail(schemas.FailImage, warmup)
	case errors.As(err, &start):
		return fail(schemas.FailMachine, err)
	default:
		return fail(schemas.FailGuest, err)
	}
}

// stageFailure: an input that is not what the specification says will not be on
// another executor either. What can't be written to a file is this host's fault.
func stageFailure(err error) error {
	var file *fs.PathError
	switch {
	case errors.Is(err, errNotAsSaid):
		return fail(schemas.FailInput, err)
	case errors.As(err, &file):
		return fail(schemas.FailInternal, err)
	}
	return fail(schemas.FailStage, err)
}
