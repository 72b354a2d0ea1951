package check

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table counts strikes by component and step of a job.
type Table struct {
	Components, Steps []string
	Hits              map[string]map[string]int
}

// Count makes the table of strikes that hit. The order of components and steps
// is as given; strikes on others are left out.
func Count(strikes []Strike, components, steps []string) Table {
	t := Table{Components: components, Steps: steps, Hits: map[string]map[string]int{}}
	for _, component := range components {
		t.Hits[component] = map[string]int{}
	}
	for _, s := range strikes {
		if s.Hit && t.Hits[s.Component] != nil && slices.Contains(steps, s.Step) {
			t.Hits[s.Component][s.Step]++
		}
	}
	return t
}

// Thin lists the cells with less than least hits, except those that say of
// themselves why there can be none.
func (t Table) Thin(least int, never func(component, step string) bool) []string {
	var thin []string
	for _, component := range t.Components {
		for _, step := range t.Steps {
			if n := t.Hits[component][step]; n < least && !never(component, step) {
				thin = append(thin, fmt.Sprintf("%s × %s: %d", component, step, n))
			}
		}
	}
	return thin
}

// String is the table for people: a line for each component.
func (t Table) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\t%s\t\n", strings.Join(t.Steps, "\t"))
	for _, component := range t.Components {
		fmt.Fprintf(w, "%s\t", component)
		for _, step := range t.Steps {
			fmt.Fprintf(w, "%d\t", t.Hits[component][step])
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return b.String()
}
