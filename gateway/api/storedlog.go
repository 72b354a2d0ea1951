package api

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/schemas"
)

// openLog opens what an ended job wrote to stdout or stderr, as far as it was kept.
func (a *API) openLog(ctx context.Context, h http.Header, r schemas.Record, stream string) (io.ReadCloser, error) {
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
	if !jobresult.Decodes(result, stream) {
		return a.objects.Log(ctx, r, result, stream)
	}
	leave, err := a.answers.enter(ctx, h, r.Tenant, decoderWeight)
	if err != nil {
		return nil, err
	}
	log, err := a.objects.Log(ctx, r, result, stream)
	if err != nil {
		leave()
		return nil, err
	}
	return roomyLog{log, leave}, nil
}

// roomyLog gives its room back when it is closed.
type roomyLog struct {
	io.ReadCloser
	leave func()
}

func (l roomyLog) Close() error {
	defer l.leave()
	return l.ReadCloser.Close()
}
