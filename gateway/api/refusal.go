package api

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// somebodyCan refuses a job that no executor could ever run, as far as is
// known. Before the first executor has registered nothing is known, and the
// job waits; one that is lost may come back.
func somebodyCan(tenant string, needs schemas.Requires, fleet []schemas.Executor) error {
	able := slices.DeleteFunc(slices.Clone(fleet), func(e schemas.Executor) bool { return !needs.SatisfiedBy(e.Facts) })
	switch {
	case len(fleet) == 0:
		return nil
	case len(able) == 0:
		return kindNoExecutor.problem(fmt.Sprintf("no executor offers %s; %s; on offer: %s", needs, nearest(needs, fleet), onOffer(fleet)),
			"require less, or see what there is: GET /v1/executors")
	case needs.Executor != "" && !able[0].NamedBy(tenant):
		return kindNoExecutor.problem(fmt.Sprintf("executor %s may not be required by name: its owner does not let tenant %s", needs.Executor, tenant),
			"leave requires.executor out, or ask the executor's owner")
	}
	return nil
}

// Bounds of how much of the fleet a problem document repeats.
const (
	maxNearest = 3
	maxLacks   = 5
	maxOffers  = 20
	maxFact    = 80 // bytes of what an executor says of itself
)

// nearest says of the executors that lack least what they lack.
func nearest(needs schemas.Requires, fleet []schemas.Executor) string {
	type miss struct {
		executor string
		lacks    []string
	}
	var misses []miss
	for _, e := range fleet {
		misses = append(misses, miss{e.Executor, needs.Lacks(e.Facts)})
	}
	slices.SortFunc(misses, func(a, b miss) int {
		return cmp.Or(cmp.Compare(len(a.lacks), len(b.lacks)), cmp.Compare(a.executor, b.executor))
	})
	var lines []string
	for _, m := range misses[:min(len(misses), maxNearest)] {
		lines = append(lines, m.executor+" lacks "+strings.Join(clipped(m.lacks, maxLacks), ", "))
	}
	return "nearest: " + strings.Join(lines, "; ")
}

// onOffer lists the kinds of machine and the labels that there are.
func onOffer(fleet []schemas.Executor) string {
	kinds, labels := map[string]bool{}, map[string]bool{}
	for _, e := range fleet {
		for _, o := range e.Offers {
			kinds[strings.TrimSpace(o.Arch+" "+o.Isolation+" "+o.Accel)] = true
		}
		for k, v := range e.Labels {
			labels[k+"="+v] = true
		}
	}
	if len(kinds) == 0 {
		return "nothing"
	}
	text := strings.Join(clipped(slices.Sorted(maps.Keys(kinds)), maxOffers), ", ")
	if len(labels) > 0 {
		text += "; labels " + strings.Join(clipped(slices.Sorted(maps.Keys(labels)), maxOffers), ", ")
	}
	return text
}

// clipped bounds a list and each of its items.
func clipped(all []string, most int) []string {
	short := make([]string, 0, min(len(all), most)+1)
	for _, s := range all[:min(len(all), most)] {
		if len(s) > maxFact {
			s = strings.ToValidUTF8(s[:maxFact], "") + "…"
		}
		short = append(short, s)
	}
	if more := len(all) - most; more > 0 {
		short = append(short, fmt.Sprintf("and %d more", more))
	}
	return short
}
