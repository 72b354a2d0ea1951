package executor

import (
	"testing"

	"github.com/program-explorer/pe/imagesync"
)

func TestPullingInWords(t *testing.T) {
	t.Parallel()
	for p, want := range map[imagesync.Progress]string{
		{}:                                  "pulling the image",
		{Done: 0, Total: 1}:                 "pulling the image, 0% of 1 MiB",
		{Done: 42 << 20, Total: 100 << 20}:  "pulling the image, 42% of 100 MiB",
		{Done: 101 << 20, Total: 100 << 20}: "pulling the image, 100% of 100 MiB",
	} {
		if got := pulling(p); got != want {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
}
