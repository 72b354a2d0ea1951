package hosttest

import (
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"testing"
)

// Missing ends a test that this machine can't run: as a failure where
// PE_REQUIRE_ALL=1 says that it must be able to.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("PE_REQUIRE_ALL") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Seeded is a source of randomness that PE_SEED makes the same again.
func Seeded(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("PE_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("PE_SEED: %v", err)
		}
	}
	t.Logf("moments of PE_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// FreeAddress is one that a process may be started at again and again.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
