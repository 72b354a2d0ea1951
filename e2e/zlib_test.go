package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/program-explorer/pe/internal/hosttest"
)

// TestZlib builds a real library from Debian's source package, and runs the
// library's own tests, in a virtual machine. Emulated, it takes minutes.
func TestZlib(t *testing.T) {
	t.Parallel()
	s := shared(t)
	found, err := filepath.Glob(filepath.Join(cache(t, "sources", "zlib"), "*.orig.tar.*"))
	if err != nil || len(found) == 0 {
		hosttest.Missing(t, "no source of zlib: run deploy/setup.sh --for test (%v)", err)
	}
	e := s.pe(t, "run", "--image", "gcc", "-f", "zlib.tar="+found[0], "--wall", "20m", "--memory", "1G", "--pids", "512", "--output", "out", "--", "sh", "-ec", `
tar xf zlib.tar --strip-components=1 --no-same-owner
./configure
make test
cp libz.a /output`).want(t, 0)
	for _, says := range []string{"*** zlib test OK ***", "*** zlib shared test OK ***"} {
		if !strings.Contains(e.stdout, says) {
			t.Errorf("%q is not said:\n%s", says, tail(e.stdout, 4096))
		}
	}
}
