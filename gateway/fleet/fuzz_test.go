package fleet

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// FuzzFacts: what is taken from an executor is its own, and is read again from the
// bucket as it was taken.
func FuzzFacts(f *testing.F) {
	facts := schemas.Facts{Executor: "e1", Instance: "i", Slots: 1, Offers: []schemas.Offering{{Arch: "amd64", Isolation: schemas.IsolationVM}}}
	data, err := json.Marshal(facts)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("e1", data)
	f.Fuzz(func(t *testing.T, executor string, data []byte) {
		facts, err := DecodeFacts(executor, data)
		if err != nil {
			return
		}
		if facts.Executor != executor {
			t.Errorf("facts of %q accepted from %q", facts.Executor, executor)
		}
		entry, err := json.Marshal(Registration{Facts: facts, LostUS: 7})
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeRegistration(executor, entry)
		if err != nil || again.LostUS != 7 || !reflect.DeepEqual(again.Facts, facts) {
			t.Errorf("%+v is read as %+v, %v", facts, again, err)
		}
	})
}
