package coordinator

import (
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
		if needs, err := decodePool(name, data); err == nil && needs.Pool() != name {
			t.Errorf("pool %q has the requirements of %q", name, needs.Pool())
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add("1.j0000000000000000000000001")
	f.Fuzz(func(_ *testing.T, s string) { _, _ = parseCursor(s) })
}
