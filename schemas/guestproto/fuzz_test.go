package guestproto_test

import (
	"bytes"
	"testing"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// FuzzStream decodes whatever comes, and what is accepted must encode to the same bytes.
func FuzzStream(f *testing.F) {
	for _, messages := range samples() {
		var wire bytes.Buffer
		w := guestproto.NewWriter(&wire)
		for _, m := range messages {
			if err := w.Send(runOf(m), m); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(wire.Bytes())
	}
	f.Add(frame(byte(guestproto.TypeStdout), 0, 1, 5, "hello"))
	f.Add(frame(byte(guestproto.TypeExit), 0, 1, 1<<31, "{"))
	f.Add(frame(byte(guestproto.TypeFault), 0, 0, 8, "\x00\x00\x00\x05setup"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		for _, side := range []guestproto.Side{guestproto.Host, guestproto.Guest} {
			fuzzSide(t, side, wire)
		}
	})
}

func fuzzSide(t *testing.T, side guestproto.Side, wire []byte) {
	r := guestproto.NewReader(bytes.NewReader(wire), side)
	var again bytes.Buffer
	w := guestproto.NewWriter(&again)
	for {
		f, err := r.Next()
		if err != nil {
			break
		}
		if f.Type.IsData() {
			if err := w.Data(f.Type, f.Run, f.Body); err != nil {
				t.Fatal(err)
			}
			continue
		}
		m, err := guestproto.Decode(f)
		if err != nil {
			break
		}
		if err := w.Send(f.Run, m); err != nil {
			t.Fatalf("accepted %s can't be sent: %v", f.Type, err)
		}
	}
	if !bytes.HasPrefix(wire, again.Bytes()) {
		t.Fatalf("accepted frames encode differently:\n%q\n%q", wire, again.Bytes())
	}
}
