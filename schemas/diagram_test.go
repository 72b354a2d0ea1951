package schemas

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// outside is how a Mermaid state diagram writes where states begin and end.
const outside = "[*]"

// An arrow leads from one state of a diagram to another.
type arrow struct{ from, to string }

var arrowLine = regexp.MustCompile(`^(\S+) --> (\S+)(?: : \S.*)?$`)

// arrowsOf parses the one state diagram of a page. Every line of it must be
// understood: what is passed over could be wrong.
func arrowsOf(t *testing.T, page string) map[arrow]bool {
	t.Helper()
	_, rest, _ := strings.Cut(page, "```mermaid\nstateDiagram-v2\n")
	picture, after, ok := strings.Cut(rest, "```")
	if !ok || strings.Contains(after, "```mermaid") {
		t.Fatal("the page has no state diagram, or several")
	}
	arrows := map[arrow]bool{}
	for line := range strings.Lines(picture) {
		m := arrowLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			t.Errorf("line %q of the diagram is no arrow", line)
			continue
		}
		if a := (arrow{m[1], m[2]}); !arrows[a] {
			arrows[a] = true
		} else {
			t.Errorf("%s --> %s is drawn twice", a.from, a.to)
		}
	}
	return arrows
}

// TestDiagramIsTheStateMachine: what is drawn can happen, and what can happen is drawn.
func TestDiagramIsTheStateMachine(t *testing.T) {
	t.Parallel()
	page := statesPage(t)
	drawn := arrowsOf(t, page)
	can := map[arrow]bool{{outside, string(StateQueued)}: true}
	for _, from := range States {
		for _, to := range States {
			if from.CanBecome(to) {
				can[arrow{string(from), string(to)}] = true
			}
		}
		if from.Terminal() {
			can[arrow{string(from), outside}] = true
		}
	}
	for a := range drawn {
		if !can[a] {
			t.Errorf("docs/states.md draws %s --> %s, which cannot happen", a.from, a.to)
		}
	}
	for a := range can {
		if !drawn[a] {
			t.Errorf("docs/states.md does not draw %s --> %s", a.from, a.to)
		}
	}
}

// TestStatesPageHasTheStates holds the table below the diagram to the states.
func TestStatesPageHasTheStates(t *testing.T) {
	t.Parallel()
	rows := tableOf(t, "\n## States\n"+statesPage(t), "States")
	var states []string
	for i, s := range States {
		states = append(states, string(s))
		if ended := map[bool]string{true: "yes", false: "no"}[s.Terminal()]; i < len(rows) && rows[i][2] != ended {
			t.Errorf("%s: the page says ended %q", s, rows[i][2])
		}
	}
	if have := firstCells(rows); !slices.Equal(have, states) {
		t.Errorf("the page has states %v, want %v", have, states)
	}
}

func statesPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/states.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}
