package schemas

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestHorizon(t *testing.T) {
	t.Parallel()
	const spared, other = "j01h8x3vz9k6tqc2n4m5p7r8s9t", "j01h8x3w0b4d6f8h0j2m4n6p8qr"
	h := Horizon{Version: HorizonVersion, CreatedUS: 100, Spared: []string{spared}}
	for _, test := range []struct {
		id      string
		created int64
		over    bool
	}{{other, 99, true}, {other, 100, false}, {spared, 99, false}, {spared, 100, false}} {
		if got := h.Over(test.id, test.created); got != test.over {
			t.Errorf("%s, created at %d, is over: %t", test.id, test.created, got)
		}
	}
	if (Horizon{}).Over(other, 0) {
		t.Error("without a horizon something is over")
	}
	for key, want := range map[string]string{"alice.horizon": "alice", HistoryKey("alice", 3): "", "horizon": "", ".horizon": "", "a.b.horizon": ""} {
		if tenant, ok := ParseHorizonKey(key); ok != (want != "") || ok && tenant != want {
			t.Errorf("%s is of %q, %t", key, tenant, ok)
		}
	}
	if _, _, err := ParseHistoryKey(HorizonKey("alice")); err == nil {
		t.Error("a horizon is taken for a page")
	}
}

// FuzzDecodeHorizon: what is taken is read again as it was.
func FuzzDecodeHorizon(f *testing.F) {
	f.Add([]byte(`{"v":1,"created_us":7,"spared":["j01h8x3vz9k6tqc2n4m5p7r8s9t"]}`))
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := DecodeHorizon(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if h2, err := DecodeHorizon(again); err != nil || len(h.Spared) > 0 && !reflect.DeepEqual(h, h2) {
			t.Errorf("%+v is read as %+v, %v", h, h2, err)
		}
	})
}
