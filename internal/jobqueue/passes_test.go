package jobqueue

import (
	"context"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestWhatPasses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want bool
	}{
		{context.DeadlineExceeded, true},
		{nats.ErrReconnectBufExceeded, true},
		{&jetstream.APIError{Code: 503, ErrorCode: 10008}, true},
		{&jetstream.APIError{Code: 500, ErrorCode: 10069, Description: "no space left on device"}, true},
		{&jetstream.APIError{Code: 500, ErrorCode: codeNoRoom}, false},
		{&jetstream.APIError{Code: 400, ErrorCode: 10052}, false},
	} {
		if got := passes(fmt.Errorf("make stream: %w", c.err)); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
