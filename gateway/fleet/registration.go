package fleet

import (
	"encoding/json"
	"fmt"

	"github.com/program-explorer/pe/schemas"
)

// DecodeFacts reads what an executor says of itself: it goes into a bucket, to
// clients, and into decisions.
func DecodeFacts(executor string, body []byte) (schemas.Facts, error) {
	f, err := schemas.DecodeControl[schemas.Facts](body)
	if err != nil {
		return f, fmt.Errorf("decode facts: %w", err)
	}
	if f.Executor != executor {
		return f, fmt.Errorf("facts are of executor %.80q", f.Executor)
	}
	return f, nil
}

// Registration is an executor's entry in the bucket.
type Registration struct {
	schemas.Facts
	// LostUS is set once a gateway has lost the executor, to when it was last heard:
	// a gateway that starts later must not take it to be there.
	LostUS int64 `json:"lost_us,omitempty"`
}

// DecodeRegistration reads an executor's entry.
func DecodeRegistration(executor string, value []byte) (r Registration, err error) {
	if err := json.Unmarshal(value, &r); err != nil {
		return r, fmt.Errorf("decode registration: %w", err)
	}
	facts, err := json.Marshal(r.Facts)
	if err != nil {
		return r, fmt.Errorf("decode registration: %w", err)
	}
	r.Facts, err = DecodeFacts(executor, facts)
	return r, err
}
