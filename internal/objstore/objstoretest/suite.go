// Package objstoretest is the conformance suite of object stores: what every
// backend must do, and what callers may therefore rely on.
package objstoretest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/program-explorer/pe/internal/objstore"
)

// Factory gives an empty store of its own to each test that calls it.
type Factory func(t *testing.T) objstore.Store

// Run holds the stores of factory to the suite.
func Run(t *testing.T, factory Factory) {
	for _, c := range []struct {
		name string
		test func(*testing.T, objstore.Store)
	}{
		{"PutGet", putGet},
		{"PutVerified", putVerified},
		{"PutIfAbsent", putIfAbsent},
		{"PutReplaces", putReplaces},
		{"PutUnknownSize", putUnknownSize},
		{"PutRefused", putRefused},
		{"PutCancelled", putCancelled},
		{"PutBrokenReader", putBrokenReader},
		{"PutConcurrent", putConcurrent},
		{"GetRange", getRange},
		{"Absent", absent},
		{"KeyBesideFolder", keyBesideFolder},
		{"List", list},
		{"ListPages", listPages},
		{"Delete", deleteObject},
		{"Keys", oddKeys},
		{"SignedPut", signedPut},
		{"SignedPutEmpty", signedPutEmpty},
		{"SignedPutRefused", signedPutRefused},
		{"SignedPutIfAbsent", signedPutIfAbsent},
		{"SignedPutBrokenOff", signedPutBrokenOff},
		{"SignedGet", signedGet},
		{"SignedTampered", signedTampered},
		{"SignedExpires", signedExpires},
		{"SignLimits", signLimits},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, factory(t))
		})
	}
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// noise is n bytes that do not compress, the same each time.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

// sized is a put of known length, the usual kind.
func sized(b []byte) objstore.PutOptions { return objstore.PutOptions{Size: int64(len(b))} }

func mustPut(t *testing.T, s objstore.Store, key string, b []byte) objstore.Info {
	t.Helper()
	info, err := s.Put(t.Context(), key, bytes.NewReader(b), sized(b))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func mustGet(t *testing.T, s objstore.Store, key string, r objstore.Range) []byte {
	t.Helper()
	body, _, err := s.Get(t.Context(), key, r)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantIs(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// wantNothing fails unless the store is empty.
func wantNothing(t *testing.T, s objstore.Store) {
	t.Helper()
	found, err := s.List(t.Context(), "", "", 0)
	if err != nil || len(found) > 0 {
		t.Errorf("store holds %v (%v), want nothing", found, err)
	}
}
