//go:build linux

package oci

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
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

func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read guestrd: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read guestrd: %w", err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
