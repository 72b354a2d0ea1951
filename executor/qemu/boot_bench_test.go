package qemu

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkBoot is a boot to the guest's first byte, and the machine's end.
func BenchmarkBoot(b *testing.B) {
	c := needGuest(b).config()
	c.User = SlotUser(0)
	times := make([]float64, 0, 100)
	for b.Loop() {
		start := time.Now()
		m, _ := boot(b, c)
		times = append(times, float64(time.Since(start).Microseconds())/1000)
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(times)
	b.ReportMetric(times[len(times)/2], "ms/ready-p50")
}

// BenchmarkRestore is a restore to the guest's first reply, and the machine's end.
func BenchmarkRestore(b *testing.B) {
	baked := bakeGuest(b)
	c := baked.config
	c.User = SlotUser(0)
	times := make([]float64, 0, 100)
	for b.Loop() {
		start := time.Now()
		m, err := Restore(b.Context(), c, baked.Template)
		if err != nil {
			b.Fatal(err)
		}
		newTalk(b, m).ask("recall")
		times = append(times, float64(time.Since(start).Microseconds())/1000)
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(times)
	b.ReportMetric(times[len(times)/2], "ms/reply-p50")
}
