package vminit

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas/guestproto"
)

func TestProcessor(t *testing.T) {
	for name, c := range map[string]struct{ info, model, features string }{
		"amd64":   {"processor\t: 0\nmodel name\t: QEMU Virtual CPU\nflags\t\t: fpu sse2 avx2 sse2\nbugs\t\t: x\n\nprocessor\t: 1\nmodel name\t: another\n", "QEMU Virtual CPU", "avx2 fpu sse2"},
		"arm64":   {"processor\t: 0\nBogoMIPS\t: 125.00\nFeatures\t: fp asimd sve\nCPU part\t: 0xd08\n", "0xd08", "asimd fp sve"},
		"riscv64": {"processor\t: 0\nhart\t: 0\nisa\t: rv64imac_zicsr_zba\nmmu\t: sv57\n", "rv64imac", "a c i m zba zicsr"},
		"hostile": {"flags: A a\x00b " + strings.Repeat("x", 33) + " ok\n", "unknown", "ok"},
		"long":    {"model name: " + strings.Repeat("\u00e9", 100) + "\n", strings.Repeat("\u00e9", 64), ""},
		"none":    {"", "unknown", ""},
	} {
		model, features := processor(strings.NewReader(c.info))
		if got := strings.Join(features, " "); model != c.model || got != c.features {
			t.Errorf("%s: %q, %q", name, model, got)
		}
	}
}

func TestFeaturesAreBounded(t *testing.T) {
	var all []string
	for i := range 2 * guestproto.MaxFeatures {
		all = append(all, fmt.Sprint(i))
	}
	_, features := processor(strings.NewReader("flags: " + strings.Join(all, " ") + "\n"))
	m := &guestproto.Ready{Arch: "amd64", Features: features}
	if err := m.Validate(); err != nil || !slices.IsSorted(features) || len(features) != guestproto.MaxFeatures {
		t.Errorf("%d features, %v", len(features), err)
	}
}
