package schemas

import "slices"

// Bounds of webhooks.
const (
	// MaxURLBytes bounds the address of a webhook or callback.
	MaxURLBytes = 1024
	// MaxWebhooks bounds a tenant's webhooks.
	MaxWebhooks = 16
	// MaxWebhookBytes bounds a posted webhook in JSON.
	MaxWebhookBytes = 16 * kib
	// MaxAnswerHead bounds what is kept of a receiver's answer, in bytes.
	MaxAnswerHead = 512
)

// OverlapRange is how long a replaced secret may go on signing, in milliseconds.
var OverlapRange = Range{0, 86_400_000, 7 * 86_400_000}

// Events that a webhook may be told of, and the one that tests it.
const (
	EventJobSucceeded = "job.succeeded"
	EventJobFailed    = "job.failed"
	EventJobCancelled = "job.cancelled"
	EventJobExpired   = "job.expired"
	EventJobDead      = "job.dead"
	// EventCampaignEnded: a campaign is closed and all of its jobs have ended.
	EventCampaignEnded = "campaign.ended"
	EventWebhookTest   = "webhook.test"
)

// JobEvents lists those that tell of a job's end, in the order of [States].
var JobEvents = []string{EventJobSucceeded, EventJobFailed, EventJobCancelled, EventJobExpired, EventJobDead}

// WebhookEvents lists those that a webhook may be told of. Without a choice it is told of [JobEvents].
var WebhookEvents = append(slices.Clone(JobEvents), EventCampaignEnded)

// JobEvent is the event of a job that ended in the state.
func JobEvent(s State) string { return "job." + string(s) }

// Callback has the end of a job, or of a campaign, told to an address.
type Callback struct {
	// URL is sent the event of the end, whatever that is: https, or http
	// where the gateway's operator allows it.
	URL string `json:"url"`
}

// WebhookSpec asks for a webhook: an address that is told when jobs end, or campaigns.
type WebhookSpec struct {
	// URL is https, or http where the gateway's operator allows it.
	URL string `json:"url"`
	// Events to tell; default all ends of jobs.
	Events []string `json:"events,omitempty"`
	// Labels that a job must have, with these values; default none. A campaign has
	// the one label that its jobs have.
	Labels map[string]string `json:"labels,omitempty"`
	// Secret to sign with: "whsec_" and 24 to 64 bytes in base 64. Default one that the gateway makes.
	Secret string `json:"secret,omitempty"`
}

// WebhookPatch changes what it names of a webhook. Jobs that end after the
// change are told as it says.
type WebhookPatch struct {
	URL    *string            `json:"url,omitempty"`
	Events *[]string          `json:"events,omitempty"`
	Labels *map[string]string `json:"labels,omitempty"`
	// Enabled switches it off, or on again.
	Enabled *bool `json:"enabled,omitempty"`
}

// WebhookRotation asks for a new secret.
type WebhookRotation struct {
	// OverlapMS is how long the old secret signs beside the new one, in milliseconds; default 24 h.
	OverlapMS *int64 `json:"overlap_ms,omitempty"`
}

// Webhook is what the API tells of one.
type Webhook struct {
	ID      string            `json:"id"`
	URL     string            `json:"url"`
	Events  []string          `json:"events"`
	Labels  map[string]string `json:"labels,omitempty"`
	Enabled bool              `json:"enabled"`
	// Disabled says why it is not enabled, unless a client said so.
	Disabled  string `json:"disabled,omitempty"`
	CreatedUS int64  `json:"created_us"`
	// SinceUS: jobs that ended before are not told. It moves when the webhook is
	// enabled, or told of others than before.
	SinceUS int64 `json:"since_us"`
	// FailingUS is when the first of the deliveries failed that have failed
	// without one success in between; 0 after a success.
	FailingUS int64 `json:"failing_us,omitempty"`
	// Secrets is how many sign now: more than one after a rotation.
	Secrets int `json:"secrets"`
	// Secret is there in the answer to creation and rotation alone.
	Secret string `json:"secret,omitempty"`
}

// WebhookList is the body of GET /v1/webhooks.
type WebhookList struct {
	Webhooks []Webhook `json:"webhooks"`
}

// CallbackSecret is what a tenant's callbacks are signed with.
type CallbackSecret struct {
	Secret string `json:"secret"`
	// Secrets is how many sign now: more than one after a rotation.
	Secrets int `json:"secrets"`
}
