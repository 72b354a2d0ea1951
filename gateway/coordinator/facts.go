package coordinator

import (
	"fmt"

	"github.com/program-explorer/pe/schemas"
)

// decodeFacts reads what an executor says of itself: it goes into a bucket, to
// clients, and into decisions.
func decodeFacts(executor string, body []byte) (schemas.Facts, error) {
	f, err := schemas.DecodeControl[schemas.Facts](body)
	if err != nil {
		return f, fmt.Errorf("decode facts: %w", err)
	}
	if f.Executor != executor {
		return f, fmt.Errorf("facts are of executor %.80q", f.Executor)
	}
	return f, nil
}
