package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/schemas"
)

const (
	// storePatience bounds how long a submission waits for the store to say whether an
	// earlier result is there: the job may as well be run.
	storePatience = 5 * time.Second
	// storeRest is how long nobody asks a store that did not say: the jobs of a batch
	// would wait for it one after the other.
	storeRest = 10 * time.Second
)

var errStoreRests = errors.New("the object store did not say lately whether a result is there")

// resultThere reports whether the store has what the record of an earlier job names of
// its result: one request for each object, and none for a result that stands in the record.
func (c *Coordinator) resultThere(ctx context.Context, origin *schemas.Record) (bool, error) {
	if !origin.Stored() {
		return true, nil
	}
	if c.state.elapsed() < time.Duration(c.storeRests.Load()) {
		return false, errStoreRests
	}
	asking, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	for _, o := range []*schemas.Object{origin.Result, origin.Archive} {
		if o == nil {
			continue
		}
		err := c.objects.Check(asking, origin.ResultKey(o.Name), *o)
		if errors.Is(err, jobresult.ErrLost) {
			c.log.Warn("earlier result not given again", "job", origin.ID, "err", err)
			return false, nil
		}
		if err != nil && ctx.Err() == nil {
			c.storeRests.Store(int64(c.state.elapsed() + storeRest))
		}
		if err != nil {
			return false, fmt.Errorf("look for the result of job %s: %w", origin.ID, err)
		}
	}
	return true, nil
}
