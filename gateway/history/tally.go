package history

import (
	"hash/maphash"
	"slices"

	"github.com/program-explorer/pe/schemas"
)

// tally is how many jobs of a page are of one campaign and in one state: 53 bits of the
// campaign's hash, three of the state's place in [schemas.States], and eight of the number less one.
// Two campaigns of a tenant are taken for one another once in 10^15. A page has them
// in order, which is one for most pages; a test bounds what they take of the others.
type tally uint64

const (
	tallyStateShift = 8
	tallyHash       = ^(stateCodes<<tallyStateShift - tally(1))
)

// campaignSeed is each process's own: nobody can choose two names of one hash.
var campaignSeed = maphash.MakeSeed()

// tallyOf is the least that there is of a campaign.
func tallyOf(campaign string) tally {
	return tally(maphash.String(campaignSeed, campaign)) & tallyHash
}

func (t tally) state() int { return int(t>>tallyStateShift) & int(stateBits) }

func (t tally) jobs() int { return int(t&(1<<tallyStateShift-1)) + 1 }

// talliesOf counts a page's jobs, of which compact ones know the states.
func talliesOf(jobs []schemas.HistoryJob, known []job) []tally {
	var ones []tally
	for i := range jobs {
		if name, ok := jobs[i].Record.Labels[schemas.LabelCampaign]; ok {
			ones = append(ones, tallyOf(name)|tally(known[i].traits&stateBits)<<tallyStateShift)
		}
	}
	slices.Sort(ones)
	var all []tally
	for i, one := range ones {
		if i > 0 && one == ones[i-1] {
			all[len(all)-1]++
		} else {
			all = append(all, one)
		}
	}
	return slices.Clone(all) // without room for more
}

// Snapshot is what a tenant had in history at a moment.
type Snapshot []*page

// Snapshot reads nothing.
func (x *index) Snapshot(tenant string) Snapshot {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if s := x.tenants[tenant]; s != nil {
		return slices.Clone(s.pages)
	}
	return nil
}

// Campaign adds up a campaign's jobs by state. None of them was written after the
// revision that it returns, but perhaps others beside them were.
func (s Snapshot) Campaign(name string, counts map[schemas.State]int) (newest uint64) {
	least := tallyOf(name)
	for _, p := range s {
		from, _ := slices.BinarySearch(p.tallies, least)
		for _, t := range p.tallies[from:] {
			if t&tallyHash != least {
				break
			}
			counts[schemas.States[t.state()]] += t.jobs()
			newest = max(newest, p.above-1)
		}
	}
	return newest
}
