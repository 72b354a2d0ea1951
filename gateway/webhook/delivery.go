package webhook

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

const (
	entryVersion = 1
	// maxEntryBytes bounds an entry of either bucket: 16 labels whose every byte takes six in JSON.
	maxEntryBytes = 32 << 10
	// lease is how much longer than a request may take the holder of a delivery is waited for.
	lease = 15 * time.Second
)

// delivery is an entry of the bucket of deliveries.
type delivery struct {
	Version  int              `json:"v"`
	Tenant   string           `json:"tenant"`
	Delivery schemas.Delivery `json:"delivery"`
	// Holder is the one gateway that sends it before UntilUS; after that any may,
	// and becomes the holder. So a send costs one write, that of its outcome.
	Holder  string `json:"holder"`
	UntilUS int64  `json:"until_us"`
	// RoundUS is when it was created, or last replayed.
	RoundUS int64 `json:"round_us"`
}

func (d *delivery) key() string { return schemas.RecordKey(d.Tenant, d.Delivery.ID) }

// due is when this gateway may send it.
func (d *delivery) due(me string) time.Time {
	at := d.Delivery.NextUS
	if d.Holder != me {
		at = max(at, d.UntilUS)
	}
	return time.UnixMicro(at)
}

// schedule makes it pending, to be sent by this gateway.
func (d *delivery) schedule(me string, at time.Time, timeout time.Duration) {
	d.Delivery.State, d.Delivery.NextUS = schemas.DeliveryPending, at.UnixMicro()
	d.Holder, d.UntilUS = me, at.Add(timeout+lease).UnixMicro()
}

// end makes it one that is not sent again; the reason may be empty.
func (d *delivery) end(state, reason string) {
	d.Delivery.State, d.Delivery.Reason, d.Delivery.NextUS, d.UntilUS = state, reason, 0, 0
}

// receiver is under whose limits and breaker it is.
func (d *delivery) receiver() receiver {
	return receiverOf(d.Tenant, d.Delivery.Webhook, d.Delivery.URL)
}

// testAge is how long a test is kept: whoever sent it was told what became of it.
const testAge = time.Hour

// keep is how long it is kept after it was written.
func (d *delivery) keep() time.Duration {
	if d.Delivery.Event == schemas.EventWebhookTest {
		return testAge
	}
	return jobqueue.DeliveryAge
}

// written is about when it was written last.
func (d *delivery) written() time.Time {
	at := max(d.Delivery.CreatedUS, d.RoundUS)
	if last := d.Delivery.Last; last != nil {
		at = max(at, last.AtUS)
	}
	return time.UnixMicro(at)
}

func encode(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err == nil && len(data) > maxEntryBytes {
		err = fmt.Errorf("%d bytes: %w", len(data), schemas.ErrTooLarge)
	}
	return data, err
}

// decodeDelivery reads what a gateway wrote, perhaps a newer one.
func decodeDelivery(key string, data []byte) (d delivery, err error) {
	if len(data) > maxEntryBytes {
		return d, fmt.Errorf("delivery %.120q: %w", key, schemas.ErrTooLarge)
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return d, fmt.Errorf("decode delivery %.120q: %w", key, err)
	}
	one := &d.Delivery
	switch {
	case d.Version != entryVersion || d.key() != key || !schemas.ValidToken(d.Tenant) || !schemas.ValidDeliveryID(one.ID):
		return d, fmt.Errorf("delivery %.120q is of another version, or another key's", key)
	case !slices.Contains(schemas.DeliveryStates, one.State) || one.Webhook != "" && !schemas.ValidWebhookID(one.Webhook):
		return d, fmt.Errorf("delivery %.120q has state %.20q and webhook %.40q", key, one.State, one.Webhook)
	}
	return d, nil
}
