package retention

import (
	"strconv"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// place is what a key of the object store says of its object.
type place struct {
	tenant string
	// input is set for an input alone, job for all objects of a job.
	input bool
	job   string
	// attempt is 0 for a specification.
	attempt int
	// name is the key's last part.
	name string
	// temporary objects are whoever's, for a day.
	temporary bool
}

// placeOf takes a key apart; false for one that no part of the system makes.
func placeOf(key string) (p place, ok bool) {
	parts := strings.Split(key, "/")
	p.tenant, p.name = parts[0], parts[len(parts)-1]
	switch {
	case len(parts) == 3 && parts[1] == "in" && schemas.ValidToken(p.tenant) && schemas.ValidSHA256(p.name):
		p.input = true
		return p, true
	case len(parts) > 3 && parts[1] == "jobs" && schemas.ValidToken(p.tenant) && schemas.ValidJobID(parts[2]):
		p.job = parts[2]
		if len(parts) == 4 {
			return p, strings.HasPrefix(p.name, "spec") && strings.HasSuffix(p.name, ".json")
		}
		var err error
		p.attempt, err = strconv.Atoi(parts[3])
		return p, len(parts) == 5 && err == nil && p.attempt > 0 && strconv.Itoa(p.attempt) == parts[3]
	case p.tenant == "tmp":
		return place{temporary: true}, true
	}
	return place{}, false
}
