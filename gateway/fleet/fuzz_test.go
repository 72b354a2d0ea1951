package fleet

import (
	"bytes"
	"encoding/json"
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
	f.Add("e1", []byte(`{"executor":"e1","instance":"i","version":"1","slots":1,"host_arch":"amd64","host_os":"linux","cpus":1,"memory_bytes":1,"labels":{},"offers":[]}`))
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
		read, err := DecodeRegistration(executor, entry)
		if err != nil {
			t.Fatalf("%s is not read again: %v", entry, err)
		}
		// No labels and an empty set of them are the same.
		if again, err := json.Marshal(read); err != nil || !bytes.Equal(again, entry) {
			t.Errorf("%s is read as %s, %v", entry, again, err)
		}
	})
}
