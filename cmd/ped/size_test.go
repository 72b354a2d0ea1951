package main

import "testing"

func TestSizeText(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int64]string{
		0: "0 MiB", 1: "1 B", 15: "15 B", 1023: "1023 B", 1024: "1 KiB", 1025: "2 KiB", 3 << 19: "1.5 MiB", 20 << 20: "20 MiB", 1 << 30: "1 GiB",
		3 << 29: "1536 MiB", 21 << 29: "10.5 GiB",
	} {
		if got := sizeText(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
}
