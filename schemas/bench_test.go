package schemas

import (
	"bytes"
	"os"
	"testing"
)

func BenchmarkDecodeJobSpec(b *testing.B) {
	data, err := os.ReadFile("testdata/golden/job-spec.full.json")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, found, err := DecodeJobSpec(bytes.NewReader(data)); err != nil || len(found) > 0 {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkDecodeClaim(b *testing.B) {
	data := []byte(`{"job":"j01h8x3vz9k6tqc2n4m5p7r0sa","tenant":"local","nonce":"5f2c9a"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeControl[Claim](data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeRecord(b *testing.B) {
	data, err := os.ReadFile("testdata/golden/record.full.json")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeRecord(data); err != nil {
			b.Fatal(err)
		}
	}
}
