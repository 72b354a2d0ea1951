package schemas

// LabelCampaign is the label by which a job belongs to a campaign: its value is
// the campaign's name.
const LabelCampaign = "campaign"

// Bounds of campaigns.
const (
	// MaxCampaigns bounds a tenant's campaigns.
	MaxCampaigns = 1000
	// MaxDescription bounds what a campaign's maker says of it, in bytes.
	MaxDescription = 200
	// MaxCampaignBytes bounds a posted campaign in JSON.
	MaxCampaignBytes = 4 * kib
)

// States of a campaign.
const (
	CampaignOpen   = "open"   // jobs may come
	CampaignClosed = "closed" // none is expected any more, and some have not ended
	CampaignEnded  = "ended"  // closed, and all of its jobs have ended
)

// CampaignStates lists them.
var CampaignStates = []string{CampaignOpen, CampaignClosed, CampaignEnded}

// CampaignSpec asks for a campaign. Its name is in the request's path.
type CampaignSpec struct {
	// Description is for people: one line.
	Description string `json:"description,omitempty"`
	// Callback is told of the campaign's end.
	Callback *Callback `json:"callback,omitempty"`
}

// Campaign is what the API tells of one: jobs that belong together, by their label
// campaign, and the end of all of them.
type Campaign struct {
	Name  string `json:"name"`
	State string `json:"state"`
	CampaignSpec
	// Instants in microseconds since the Unix epoch; 0 of what has not happened.
	CreatedUS int64 `json:"created_us"`
	ClosedUS  int64 `json:"closed_us,omitempty"`
	// EndedUS moves if one more of its jobs ends after it.
	EndedUS int64 `json:"ended_us,omitempty"`
	// Unfinished is how many of its jobs have not ended.
	Unfinished int `json:"unfinished"`
	// Jobs counts its jobs by state: as they were at the end of one that has ended.
	// Of others it is told for one that is asked for by its name.
	Jobs map[State]int `json:"jobs,omitempty"`
}

// CampaignList is the body of GET /v1/campaigns, the newest first.
type CampaignList struct {
	Campaigns []Campaign `json:"campaigns"`
}

// Advance sets the state that the instants say.
func (c *Campaign) Advance() {
	switch {
	case c.EndedUS != 0:
		c.State = CampaignEnded
	case c.ClosedUS != 0:
		c.State = CampaignClosed
	default:
		c.State = CampaignOpen
	}
}
