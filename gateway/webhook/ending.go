package webhook

import (
	"crypto/sha256"
	"net/url"
	"strconv"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// ending is the end of a job or of a campaign: all that its deliveries are made of.
// Ends may have to be remembered by the hundred thousand, and a whole record has kilobytes.
type ending struct {
	tenant, event string
	// atUS is when it ended, in microseconds since the Unix epoch.
	atUS int64
	// callback is its own address; empty for none.
	callback string
	// rev is that of a job's record, from which on the tenant's records are read again if
	// there is no room for the end now. A campaign's is 1: they are few, and all looked at again.
	rev uint64
	// data is without links; outputs says that a job has any.
	data    schemas.WebhookData
	outputs bool
}

func jobEnding(rec *schemas.Record, rev uint64) *ending {
	e := &ending{
		tenant: rec.Tenant, event: schemas.JobEvent(rec.State), atUS: rec.EndedUS, callback: rec.Callback, rev: rev,
		data: schemas.WebhookData{ID: rec.ID, State: rec.State, Labels: rec.Labels}, outputs: rec.Archive != nil,
	}
	if o := rec.Outcome; o != nil {
		e.data.ExitCode, e.data.Signal, e.data.Limit = o.ExitCode, o.Signal, o.Limit
	}
	return e
}

func campaignEnding(tenant string, c *schemas.Campaign) *ending {
	e := &ending{
		tenant: tenant, event: schemas.EventCampaignEnded, atUS: c.EndedUS, rev: 1,
		data: schemas.WebhookData{ID: c.Name, Labels: map[string]string{schemas.LabelCampaign: c.Name}, Jobs: c.Jobs},
	}
	if c.Callback != nil {
		e.callback = c.Callback.URL
	}
	return e
}

// job is the id of the job that ended, or empty; campaign the name of the campaign.
func (e *ending) job() string {
	if e.event == schemas.EventCampaignEnded {
		return ""
	}
	return e.data.ID
}

func (e *ending) campaign() string {
	if e.event != schemas.EventCampaignEnded {
		return ""
	}
	return e.data.ID
}

// source is where the end is found again.
func (e *ending) source() source {
	return source{e.tenant, e.event == schemas.EventCampaignEnded}
}

// source of ends: a tenant's records of jobs, or its campaigns.
type source struct {
	tenant    string
	campaigns bool
}

// callbackTarget stands in place of a webhook's id for a callback.
const callbackTarget = "callback"

// deliveryID is the same for the same end of the same thing and the same target: a
// job that is brought back from the dead ends again, at another instant.
func (e *ending) deliveryID(target string) string {
	of := e.job()
	if of == "" {
		of = "campaign/" + e.campaign() // no job's id
	}
	sum := sha256.Sum256([]byte(e.tenant + "\x00" + of + "\x00" + strconv.FormatInt(e.atUS, 10) + "\x00" + target))
	return schemas.DeliveryID([16]byte(sum[:16]))
}

// payload of the end. base begins its links.
func (e *ending) payload(base string) schemas.WebhookEvent {
	data := e.data
	if name := e.campaign(); name != "" {
		data.Links = &schemas.WebhookLinks{Campaign: base + "/v1/campaigns/" + name, Jobs: base + "/v1/jobs?label=" + url.QueryEscape(schemas.LabelCampaign+"="+name)}
	} else {
		data.Links = &schemas.WebhookLinks{Job: base + "/v1/jobs/" + e.job()}
	}
	if e.outputs {
		data.Links.Outputs = data.Links.Job + "/outputs"
	}
	return schemas.WebhookEvent{Type: e.event, Timestamp: timestamp(time.UnixMicro(e.atUS)), Data: data}
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
