package schemas

// States of a delivery.
const (
	DeliveryPending   = "pending"   // not sent yet, or to be sent again
	DeliveryDelivered = "delivered" // answered with 2xx
	DeliveryFailed    = "failed"    // given up; it may be replayed
)

// DeliveryStates lists them.
var DeliveryStates = []string{DeliveryPending, DeliveryDelivered, DeliveryFailed}

// Delivery is one event on its way to one address.
type Delivery struct {
	// ID is the header webhook-id: the same whenever the event is sent again.
	ID string `json:"id"`
	// Webhook that it is for; empty for a callback of a job or campaign.
	Webhook string `json:"webhook,omitempty"`
	URL     string `json:"url"`
	// Job or Campaign that ended; both are empty for a test.
	Job       string `json:"job,omitempty"`
	Campaign  string `json:"campaign,omitempty"`
	Event     string `json:"event"`
	State     string `json:"state"`
	CreatedUS int64  `json:"created_us"`
	// NextUS is when a pending one is due.
	NextUS int64 `json:"next_us,omitempty"`
	// Attempts is how often it was sent, since it was last replayed.
	Attempts int              `json:"attempts"`
	Last     *DeliveryAttempt `json:"last,omitempty"`
	// Reason says why it failed without having been sent, or was given up early.
	Reason string `json:"reason,omitempty"`
	// Payload is what is sent.
	Payload WebhookEvent `json:"payload"`
}

// DeliveryAttempt is what became of sending once.
type DeliveryAttempt struct {
	AtUS   int64 `json:"at_us"`
	TookMS int64 `json:"took_ms"`
	// Status of the answer; 0 without one, and then Error says why.
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
	// Answer is the head of the body, at most [MaxAnswerHead] bytes, invalid UTF-8 replaced.
	Answer string `json:"answer,omitempty"`
}

// DeliveryList is one page of deliveries, the newest first.
type DeliveryList struct {
	Deliveries []Delivery `json:"deliveries"`
	// Next is the cursor of the next page, empty on the last.
	Next string `json:"next,omitempty"`
}

// WebhookEvent is the payload of a webhook, as the Standard Webhooks specification has it.
type WebhookEvent struct {
	Type string `json:"type"`
	// Timestamp of the event, not of its delivery: RFC 3339.
	Timestamp string      `json:"timestamp"`
	Data      WebhookData `json:"data"`
}

// WebhookData says little of a job or campaign, so that who may read it decides who sees the rest.
type WebhookData struct {
	// ID of the job; of the webhook in a test; the name of the campaign.
	ID    string `json:"id"`
	State State  `json:"state,omitempty"`
	// ExitCode, Signal and Limit are the outcome's.
	ExitCode *int              `json:"exit_code,omitempty"`
	Signal   string            `json:"signal,omitempty"`
	Limit    string            `json:"limit,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	// Jobs counts a campaign's jobs by the state that they ended in.
	Jobs  map[State]int `json:"jobs,omitempty"`
	Links *WebhookLinks `json:"links,omitempty"`
}

// WebhookLinks are addresses below the gateway's public one; paths if it has none.
type WebhookLinks struct {
	Job string `json:"job,omitempty"`
	// Campaign is that of an event of one, Jobs the list of its jobs.
	Campaign string `json:"campaign,omitempty"`
	Jobs     string `json:"jobs,omitempty"`
	// Outputs is there if the job has any.
	Outputs string `json:"outputs,omitempty"`
}
