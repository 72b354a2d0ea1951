//go:build linux

package oci

import (
	"crypto/rand"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// unique tells machines apart whose names nobody gave.
func unique() string { return strings.ToLower(rand.Text()[:12]) }

func kernelRelease() string {
	var uts unix.Utsname
	if unix.Uname(&uts) != nil {
		return ""
	}
	return unix.ByteSliceToString(uts.Release[:])
}

// cpuModel is the host CPU's name; where the kernel doesn't say, its architecture.
func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		name, value, _ := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); name == "model name" || name == "uarch" {
			return strings.ToValidUTF8(strings.TrimSpace(value), "")
		}
	}
	return runtime.GOARCH
}
