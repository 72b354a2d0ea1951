package qemu

import "testing"

// BenchmarkBoot is a boot to the guest's first byte, and the machine's end.
func BenchmarkBoot(b *testing.B) {
	c := needGuest(b).config()
	c.User = SlotUser(0)
	for b.Loop() {
		m, _ := boot(b, c)
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
