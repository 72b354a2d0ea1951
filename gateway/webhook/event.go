package webhook

import (
	"crypto/sha256"
	"strconv"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// callbackTarget stands in place of a webhook's id for a job's own callback.
const callbackTarget = "callback"

// deliveryID is the same for the same end of the same job and the same target:
// a job that is brought back from the dead ends again, at another instant.
func deliveryID(rec *schemas.Record, target string) string {
	sum := sha256.Sum256([]byte(rec.Tenant + "\x00" + rec.ID + "\x00" + strconv.FormatInt(rec.EndedUS, 10) + "\x00" + target))
	return schemas.DeliveryID([16]byte(sum[:16]))
}

// payload of a job's end. base begins its links.
func payload(rec *schemas.Record, base string) schemas.WebhookEvent {
	data := schemas.WebhookData{ID: rec.ID, State: rec.State, Labels: rec.Labels}
	if o := rec.Outcome; o != nil {
		data.ExitCode, data.Signal, data.Limit = o.ExitCode, o.Signal, o.Limit
	}
	job := base + "/v1/jobs/" + rec.ID
	data.Links = &schemas.WebhookLinks{Job: job}
	if rec.Archive != nil {
		data.Links.Outputs = job + "/outputs"
	}
	return schemas.WebhookEvent{Type: schemas.JobEvent(rec.State), Timestamp: timestamp(time.UnixMicro(rec.EndedUS)), Data: data}
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
