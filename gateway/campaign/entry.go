package campaign

import (
	"encoding/json"
	"fmt"

	"github.com/program-explorer/pe/schemas"
)

const (
	entryVersion = 1
	// maxEntryBytes bounds an entry: an address whose every byte takes six in JSON, and the rest.
	maxEntryBytes = 16 << 10
)

// entry is a campaign as the bucket has it.
type entry struct {
	Version  int              `json:"v"`
	Tenant   string           `json:"tenant"`
	Campaign schemas.Campaign `json:"campaign"`
	// UpTo is the revision of the jobs up to which those of an ended campaign were counted, and no further.
	UpTo uint64 `json:"up_to,omitempty"`
}

func (e *entry) key() string { return schemas.CampaignKey(e.Tenant, e.Campaign.Name) }

func (e *entry) closed() bool { return e.Campaign.ClosedUS != 0 }
func (e *entry) ended() bool  { return e.Campaign.EndedUS != 0 }

// end takes note of how the jobs ended. One end comes after another, whatever the
// clocks say: the instant tells them apart.
func (e *entry) end(nowUS int64, jobs map[schemas.State]int, upTo uint64) {
	c := &e.Campaign
	c.EndedUS = max(nowUS, c.ClosedUS, c.EndedUS+1)
	c.Jobs, e.UpTo = jobs, upTo
	c.Advance()
}

func (e *entry) encode() ([]byte, error) {
	data, err := json.Marshal(e)
	if err == nil && len(data) > maxEntryBytes {
		err = fmt.Errorf("%d bytes: %w", len(data), schemas.ErrTooLarge)
	}
	if err != nil {
		return nil, fmt.Errorf("encode campaign %s: %w", e.Campaign.Name, err)
	}
	return data, nil
}

// decode reads what a gateway wrote, perhaps a newer one.
func decode(key string, data []byte) (e entry, err error) {
	if len(data) > maxEntryBytes {
		return e, fmt.Errorf("campaign %.120q: %w", key, schemas.ErrTooLarge)
	}
	if json.Unmarshal(data, &e) != nil {
		return e, fmt.Errorf("decode campaign %.120q: not JSON, or not a campaign", key) // no detail: an address may hold a secret
	}
	c := &e.Campaign
	switch {
	case e.Version != entryVersion || !schemas.ValidToken(e.Tenant) || !schemas.ValidCampaignName(c.Name) || e.key() != key:
		return e, fmt.Errorf("campaign %.120q is of another version, or another key's", key)
	case len(c.CampaignSpec.Validate()) > 0:
		return e, fmt.Errorf("campaign %.120q has a description or callback that is not valid", key)
	case c.CreatedUS <= 0 || c.ClosedUS < 0 || c.EndedUS < 0 || c.EndedUS != 0 && c.ClosedUS == 0:
		return e, fmt.Errorf("campaign %.120q was created, closed and ended at %d, %d and %d", key, c.CreatedUS, c.ClosedUS, c.EndedUS)
	}
	for state, n := range c.Jobs {
		if !state.Terminal() || n < 0 {
			return e, fmt.Errorf("campaign %.120q has %d jobs that ended as %.20q", key, n, state)
		}
	}
	c.Advance()
	return e, nil
}
