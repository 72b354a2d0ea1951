package qemu

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

func TestCounterRate(t *testing.T) {
	t.Parallel()
	got := CounterKHz()
	if got < 500_000 || got > 10_000_000 {
		t.Fatalf("counter runs at %d kHz", got)
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skip("no /proc/cpuinfo to compare with")
	}
	// The rate is in the name of many CPUs, rounded; others say nothing of it.
	m := regexp.MustCompile(`model name.*@ ([\d.]+)GHz`).FindSubmatch(info)
	if m == nil {
		t.Skipf("the CPU's name has no rate to compare %d kHz with", got)
	}
	named, _ := strconv.ParseFloat(string(m[1]), 64)
	if ratio := float64(got) / (named * 1e6); ratio < 0.9 || ratio > 1.1 {
		t.Errorf("counter runs at %d kHz, the CPU's name says %v GHz", got, named)
	}
}
