//go:build !linux

package qemu

// There is no other user here that a QEMU could run as.
const impostorName = "no-impostor"

func impostor() int { return 1 }
