package api

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestRepeatedRequestGetsItsJob, alone and in a batch, though its image is not to be
// had any more: it was accepted. Another request under its key is refused for the image.
func TestRepeatedRequestGetsItsJob(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	h := start(t, func(c *Config) {
		c.Resolve = func(ctx context.Context, reference string) (ResolvedImage, error) {
			if away.Load() {
				reference = "unreachable"
			}
			return fakeResolve(ctx, reference)
		}
	})
	const spec = `{"image":"gcc","args":[%q],"idempotency_key":"k"}`
	first := ask[schemas.Job](t, h, http.StatusAccepted, "POST", "/v1/jobs", fmt.Sprintf(spec, "make"))
	away.Store(true)
	if again := ask[schemas.Job](t, h, http.StatusAccepted, "POST", "/v1/jobs", fmt.Sprintf(spec, "make")); again.ID != first.ID {
		t.Errorf("the repeated request got job %s, want %s", again.ID, first.ID)
	}
	ask[schemas.ProblemDocument](t, h, http.StatusBadGateway, "POST", "/v1/jobs", fmt.Sprintf(spec, "break"))
	for _, mode := range []string{schemas.BatchAll, schemas.BatchEach} {
		body := fmt.Sprintf(`{"mode":%q,"jobs":[`+spec+`]}`, mode, "make")
		reply := ask[schemas.BatchReply](t, h, http.StatusAccepted, "POST", "/v1/jobs:batch", body)
		if len(reply.Jobs) != 1 || reply.Jobs[0].Job == nil || reply.Jobs[0].Job.ID != first.ID {
			t.Errorf("%s: %+v", mode, reply.Jobs)
		}
	}
}
