package coordinator

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/feeder"
	"github.com/program-explorer/pe/schemas"
)

func FuzzRecord(f *testing.F) {
	rec := running(2, schemas.FailLost)
	data, err := encodeRecord(*rec)
	if err != nil {
		f.Fatal(err)
	}
	key := schemas.RecordKey(rec.Tenant, rec.ID)
	f.Add(key, data)
	f.Add("a.b", []byte(`{}`))
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		rec, err := decodeRecord(key, data)
		if err != nil {
			return
		}
		// Whatever is accepted can be worked with.
		s := newState(feeder.New(feeder.Config{}), func() time.Time { return time.Unix(1, 0) }, func(_, _ schemas.State) {})
		s.learn(rec, 1)
		if rec.Current() != nil {
			rules{maxAttempts: 3}.fail(&rec, time.Unix(1, 0), schemas.NewFailure(schemas.FailLost, "x"))
		}
		s.learn(rec, 2)
	})
}

func FuzzPool(f *testing.F) {
	f.Add("amd64-strong", []byte(`{"arch":"amd64","isolation":"strong"}`))
	f.Add("amd64-strong", []byte(`{"arch":"amd64","isolation":"strong","labels":{"a":"b"}}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		needs, err := decodePool(name, data)
		if err != nil {
			return
		}
		needs = needs.Canonical() // as the bucket has them
		value, err := json.Marshal(needs)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := decodePool(name, value); err != nil || !reflect.DeepEqual(again, needs) {
			t.Errorf("pool %q: %+v is read as %+v, %v", name, needs, again, err)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add("1.j0000000000000000000000001")
	f.Add("-5.j0000000000000000000000001")
	f.Fuzz(func(t *testing.T, s string) {
		mark, err := parseCursor(s)
		if err != nil {
			return
		}
		if again, err := parseCursor(cursor(mark)); err != nil || again != mark {
			t.Errorf("%q is %+v, and comes back as %+v, %v", s, mark, again, err)
		}
	})
}
