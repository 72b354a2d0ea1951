package helptest

import (
	"reflect"
	"testing"
)

func TestCallsOfALine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][][]string{
		`pe jobs -l a=b # what there is`:                                {{"jobs", "-l", "a=b"}},
		`id=$(pe submit -- uname -m); pe wait $id && pe logs $id`:       {{"submit", "--", "uname", "-m"}, {"wait", "$id"}, {"logs", "$id"}},
		`PE_TOKEN=… pe run -- sh -c 'a; $(pe x) | b' > out 2>/dev/null`: {{"run", "--", "sh", "-c", "a; $\x00(pe x) | b"}},
		`pe jobs | while read -r id; do pe wait "$id" || echo no; done`: {{"jobs"}, {"wait", "$id"}},
		`pe jobs --json | jq -r '.jobs[].id' | xargs -r pe cancel`:      {{"jobs", "--json"}, {"cancel", "what-it-reads"}},
		`pe events --since "$(cat last-id)"`:                            {{"events", "--since", "$(cat last-id)"}},
		`echo pe jobs`:                                                  nil,
	} {
		if got := calls(text, "pe"); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
