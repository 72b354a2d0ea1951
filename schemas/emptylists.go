package schemas

import (
	"encoding/json"
	"slices"
)

// A list that is always there is [] when it is empty, never null: readers in
// other languages take it as the schema says.

func filled[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// MarshalJSON writes empty lists as [].
func (r Result) MarshalJSON() ([]byte, error) {
	type plain Result
	r.Spans, r.Outputs = filled(r.Spans), filled(r.Outputs)
	return json.Marshal(plain(r))
}

// MarshalJSON writes an empty list as [].
func (l JobList) MarshalJSON() ([]byte, error) {
	type plain JobList
	l.Jobs = filled(l.Jobs)
	return json.Marshal(plain(l))
}

// MarshalJSON writes empty lists as []. [Facts] cannot do it itself: [Executor]
// embeds it and would inherit the method.
func (l ExecutorList) MarshalJSON() ([]byte, error) {
	type plain ExecutorList
	l.Executors = filled(slices.Clone(l.Executors))
	for i := range l.Executors {
		l.Executors[i].Offers = filled(l.Executors[i].Offers)
	}
	return json.Marshal(plain(l))
}

// MarshalJSON writes an empty list as [].
func (b JobBatch) MarshalJSON() ([]byte, error) {
	type plain JobBatch
	b.Jobs = filled(b.Jobs)
	return json.Marshal(plain(b))
}

// MarshalJSON writes an empty list as [].
func (b BatchReply) MarshalJSON() ([]byte, error) {
	type plain BatchReply
	b.Jobs = filled(b.Jobs)
	return json.Marshal(plain(b))
}

// MarshalJSON writes an empty list as [].
func (l ImageList) MarshalJSON() ([]byte, error) {
	type plain ImageList
	l.Images = filled(l.Images)
	return json.Marshal(plain(l))
}

// MarshalJSON writes an empty list as [].
func (l OutputList) MarshalJSON() ([]byte, error) {
	type plain OutputList
	l.Outputs = filled(l.Outputs)
	return json.Marshal(plain(l))
}

// MarshalJSON writes an empty list as [].
func (r MissingRequest) MarshalJSON() ([]byte, error) {
	type plain MissingRequest
	r.SHA256 = filled(r.SHA256)
	return json.Marshal(plain(r))
}

// MarshalJSON writes an empty list as [].
func (r MissingReply) MarshalJSON() ([]byte, error) {
	type plain MissingReply
	r.Missing = filled(r.Missing)
	return json.Marshal(plain(r))
}

// MarshalJSON writes an empty list as [].
func (l WebhookList) MarshalJSON() ([]byte, error) {
	type plain WebhookList
	l.Webhooks = filled(l.Webhooks)
	return json.Marshal(plain(l))
}

// MarshalJSON writes an empty list as [].
func (w Webhook) MarshalJSON() ([]byte, error) {
	type plain Webhook
	w.Events = filled(w.Events)
	return json.Marshal(plain(w))
}

// MarshalJSON writes an empty list as [].
func (l CampaignList) MarshalJSON() ([]byte, error) {
	type plain CampaignList
	l.Campaigns = filled(l.Campaigns)
	return json.Marshal(plain(l))
}

// MarshalJSON writes an empty list as [].
func (l DeliveryList) MarshalJSON() ([]byte, error) {
	type plain DeliveryList
	l.Deliveries = filled(l.Deliveries)
	return json.Marshal(plain(l))
}
