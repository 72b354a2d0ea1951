package coordinator

import (
	"errors"
	"fmt"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// ErrDeadlineOver: the job was to end before now.
var ErrDeadlineOver = errors.New("the job's deadline is over")

// pastDeadline reports whether a job should have ended by now.
func pastDeadline(rec *schemas.Record, now time.Time) bool {
	return rec.DeadlineUS != 0 && now.UnixMicro() >= rec.DeadlineUS
}

// overrun ends a job for its deadline, and says how far it came.
func overrun(rec *schemas.Record, now time.Time, how string) {
	after := time.Duration(rec.DeadlineUS-rec.CreatedUS) * time.Microsecond
	rec.State, rec.EndedUS = schemas.StateExpired, now.UnixMicro()
	rec.Failure = schemas.NewFailure(schemas.FailDeadline, fmt.Sprintf("its deadline, %s after its submission, passed while %s", after, how))
}
