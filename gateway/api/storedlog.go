package api

import (
	"context"
	"io"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// openLog opens what an ended job wrote to stdout or stderr, as far as it was kept.
func (a *API) openLog(ctx context.Context, r schemas.Record, stream string) (io.ReadCloser, error) {
	if r.ResultExpired() {
		return nil, expired(r)
	}
	if !r.HasResult() { // ended without having run, or its executor was lost with its log
		return io.NopCloser(strings.NewReader("")), nil
	}
	result, err := a.objects.Result(ctx, r)
	if err != nil {
		return nil, err
	}
	return a.objects.Log(ctx, r, result, stream)
}
