package schemas

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSchemaAndValidateAgree: what a JSON Schema can say, it says as Validate does.
func TestSchemaAndValidateAgree(t *testing.T) {
	t.Parallel()
	schema := compiled(t, "job-spec.json")
	long := strings.Repeat("a", 600)
	for _, bad := range []string{
		`{}`, `[]`, `{"image":""}`, `{"image":3}`, `{"image":"a b"}`, `{"image":"` + long + `"}`, `{"image":"a","imag":"b"}`, `{"image":"a","args":null}`,
		`{"image":"a","args":["\u0000"]}`, `{"image":"a","args":"x"}`, `{"image":"a","env":{"a=":"x"}}`, `{"image":"a","env":{"":"x"}}`, `{"image":"a","env":{"A":"\u0000"}}`,
		`{"image":"a","cwd":"x"}`, `{"image":"a","user":"a b"}`, `{"image":"a","stdin":{}}`, `{"image":"a","stdin":{"text":"","base64":""}}`,
		`{"image":"a","files":{"":"x"}}`, `{"image":"a","files":{"a":{}}}`, `{"image":"a","files":{"a":{"text":"","base64":""}}}`, `{"image":"a","files":{"a":3}}`,
		`{"image":"a","files":{"a":{"base64":"x"}}}`, `{"image":"a","files":{"a":{"sha256":"x"}}}`, `{"image":"a","files":{"a":{"text":"","mode":"9"}}}`, `{"image":"a","files":{"a":{"txt":""}}}`,
		`{"image":"a","outputs":["/etc"]}`, `{"image":"a","outputs":[""]}`,
		`{"image":"a","limits":{"wall_ms":-1}}`, `{"image":"a","limits":{"wall_ms":86400001}}`, `{"image":"a","limits":{"cpus":0.01}}`, `{"image":"a","limits":{"cpus":1.0005}}`,
		`{"image":"a","limits":{"memory_bytes":1}}`, `{"image":"a","limits":{"pids":40000}}`, `{"image":"a","limits":{"scratch_bytes":1}}`, `{"image":"a","limits":{"output_bytes":1}}`, `{"image":"a","limits":{"wall":1}}`,
		`{"image":"a","requires":{"arch":"x86"}}`, `{"image":"a","requires":{"isolation":"none"}}`, `{"image":"a","requires":{"accel":"x"}}`, `{"image":"a","requires":{"kernel":"x"}}`,
		`{"image":"a","requires":{"features":["A"]}}`, `{"image":"a","requires":{"executor":"A"}}`, `{"image":"a","requires":{"labels":{"-":""}}}`,
		`{"image":"a","callback":"https://a"}`, `{"image":"a","callback":{}}`, `{"image":"a","callback":{"url":"ftp://a"}}`, `{"image":"a","callback":{"url":"https://a#b"}}`, `{"image":"a","callback":{"url":"https://a/` + long + long + `"}}`, `{"image":"a","callback":{"url":"https://a","events":[]}}`,
		`{"image":"a","lane":"fast"}`, `{"image":"a","deadline_ms":999}`, `{"image":"a","deadline_ms":2592000001}`, `{"image":"a","labels":{"a":"` + long + `"}}`, `{"image":"a","labels":{"a":"\n"}}`, `{"image":"a","idempotency_key":"ä"}`,
	} {
		if _, found, err := DecodeJobSpec(strings.NewReader(bad)); err != nil || len(found) == 0 {
			t.Errorf("%.100s: accepted by Validate (%v)", bad, err)
		}
		if schema.Validate(parsed(t, []byte(bad))) == nil {
			t.Errorf("%.100s: accepted by the schema", bad)
		}
	}
}

func FuzzDecodeJobSpec(f *testing.F) {
	addSamples(f, "job-spec")
	for _, seed := range []string{
		`{"image":"a","callback":{"url":"https://[::1]:99/x?y"}}`, `{"image":"gcc","files":{"a":"x"},"stdin":{"file":"a"}}`, `{"image":"\ud800","x":[{"y":null}]}`, `{"limits":{"cpus":1e3}}`, `[`, "\xff", `null`,
		`{"image":"a","args":["\ud83d\ude00"],"env":{"a":"b","a":"c"},"limits":{"cpus":0.0505,"pids":1e2}}`,
	} {
		f.Add([]byte(seed))
	}
	schema := compiled(f, "job-spec.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, found, err := DecodeJobSpec(strings.NewReader(string(data)))
		if err != nil || len(found) > 0 {
			return
		}
		encoded, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(parsed(t, encoded)); err != nil {
			t.Fatalf("%s is accepted, but not by the schema: %v", encoded, err)
		}
		again, found, err := DecodeJobSpec(strings.NewReader(string(encoded)))
		if err != nil || len(found) > 0 {
			t.Fatalf("%s: %v %v", encoded, found, err)
		}
		if full := again.WithDefaults().Validate(); len(full) > 0 {
			t.Fatalf("%s with defaults: %v", encoded, full)
		}
	})
}

func FuzzDecodeResult(f *testing.F) {
	addSamples(f, "result")
	schema := compiled(f, "result.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := DecodeResult(strings.NewReader(string(data)))
		if err != nil {
			return
		}
		encoded := encodeFor(t, r)
		if _, err := DecodeResult(strings.NewReader(string(encoded))); err != nil {
			t.Fatalf("%s: %v", encoded, err)
		}
		if err := schema.Validate(parsed(t, encoded)); err != nil {
			t.Fatalf("%s is accepted, but not by the schema: %v", encoded, err)
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	addSamples(f, "record")
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := DecodeRecord(data)
		if err != nil {
			return
		}
		_, _ = r.Current(), r.Needs.Pool()
		encodeFor(t, r)
	})
}

func FuzzDecodeControl(f *testing.F) {
	addSamples(f, "event")
	addSamples(f, "facts")
	addSamples(f, "stage")
	for _, seed := range []string{
		`{"job":"j01h8x3vz9k6tqc2n4m5p7r0sa","tenant":"local"}`,
		`{"job":"j01h8x3vz9k6tqc2n4m5p7r0sa","tenant":"local","nonce":"x"}`,
		`{"answer":"granted","grant":{"attempt":1,"image":{"reference":"a","digest":"b"},"needs":{},"spec":{"image":"a"},"spec_object":{"name":"","size":0,"sha256":""},"created_us":0,"queued_us":0}}`,
		`{"job":"j01h8x3vz9k6tqc2n4m5p7r0sa","tenant":"local","attempt":1,"get":[],"put":null}`,
		`{"get":[{"method":"GET","url":"http://a","header":{"A":["b"]}}]}`,
		`{"instance":"a","slots":1,"busy":0,"held":[{"tenant":"local","job":"j01h8x3vz9k6tqc2n4m5p7r0sa","attempt":1}]}`,
		`{"offset":0,"data":"AAEC"}`, `{"data":"!","end":3}`, `{"tenant":"local","job":"j01h8x3vz9k6tqc2n4m5p7r0sa","attempt":1,"stream":"stdout","offset":0}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		roundTrip[Offer](t, data)
		roundTrip[Claim](t, data)
		roundTrip[ClaimReply](t, data)
		roundTrip[Sign](t, data)
		roundTrip[SignReply](t, data)
		roundTrip[Facts](t, data)
		roundTrip[HelloReply](t, data)
		roundTrip[Beat](t, data)
		roundTrip[BeatReply](t, data)
		roundTrip[Stop](t, data)
		roundTrip[LogsRequest](t, data)
		roundTrip[LogsReply](t, data)
		roundTrip[LogChunk](t, data)
		roundTrip[Stage](t, data)
		roundTrip[Event](t, data)
	})
}

func roundTrip[T ControlMessage](t *testing.T, data []byte) {
	v, err := DecodeControl[T](data)
	if err != nil {
		return
	}
	encoded := encodeFor(t, v)
	if _, err := DecodeControl[T](encoded); err != nil {
		t.Fatalf("%s as %T: %v", encoded, v, err)
	}
}

func encodeFor(t *testing.T, v any) []byte {
	encoded, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func addSamples(f *testing.F, base string) {
	samples, err := filepath.Glob("testdata/golden/" + base + ".*.json")
	if err != nil || len(samples) == 0 {
		f.Fatalf("no samples of %s: %v", base, err)
	}
	for _, name := range samples {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}
