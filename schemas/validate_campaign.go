package schemas

import (
	"crypto/sha256"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// campaignPattern is that of a label's name without the slash: it is a part of a path.
var campaignPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

var campaignSpecShape = shapeOf[CampaignSpec]()

// ValidCampaignName reports whether s may name a campaign: 1 to 63 letters, digits
// and . _ -, the first a letter or digit. Labels may have values that can't.
func ValidCampaignName(s string) bool { return campaignPattern.MatchString(s) }

// CampaignKey is a campaign's key in its bucket. Names are no subject tokens, so
// a hash stands for the name.
func CampaignKey(tenant, name string) string {
	sum := sha256.Sum256([]byte(name))
	return tenant + "." + strings.TrimPrefix(DeliveryID([16]byte(sum[:16])), deliveryPrefix)
}

// Validate lists what is wrong with the request.
func (s CampaignSpec) Validate() []Problem {
	var ps problems
	switch d := s.Description; {
	case len(d) > MaxDescription:
		ps.add("/description", "has %d bytes; at most %d", len(d), MaxDescription)
	case !utf8.ValidString(d) || strings.ContainsFunc(d, isControl):
		ps.add("/description", "want one line, without control characters")
	}
	if s.Callback != nil {
		validateURL(&ps, "/callback/url", s.Callback.URL)
	}
	return ps.list
}

// DecodeCampaignSpec reads a posted campaign of at most [MaxCampaignBytes], and lists
// all that is wrong with it.
func DecodeCampaignSpec(r io.Reader) (CampaignSpec, []Problem, error) {
	return decodePosted[CampaignSpec]("campaign", r, MaxCampaignBytes, campaignSpecShape)
}
