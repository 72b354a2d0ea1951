package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Names in a guest bundle ("ped kernel add"), which lies in DIR/ARCH/RELEASE.
const (
	bundleGuestrd  = "guestrd"
	bundleManifest = "manifest.json"
	maxManifest    = 64 << 10 // bytes
)

// FindGuest returns the path of guestrd in the youngest guest bundle for arch below dir, after holding it
// against the bundle's manifest.
func FindGuest(dir, arch string) (string, error) {
	manifests, err := filepath.Glob(filepath.Join(dir, arch, "*", bundleManifest))
	if err != nil {
		return "", fmt.Errorf("find guestrd: %w", err)
	}
	var youngest, digest string
	var made time.Time
	for _, path := range manifests {
		if strings.HasPrefix(filepath.Base(filepath.Dir(path)), ".") {
			continue // is being made, or removed
		}
		info, err := os.Stat(path)
		if err != nil || info.ModTime().Before(made) {
			continue
		}
		if d := guestrdDigest(path); d != "" {
			youngest, digest, made = filepath.Join(filepath.Dir(path), bundleGuestrd), d, info.ModTime()
		}
	}
	if youngest == "" {
		return "", fmt.Errorf("find guestrd for %s: no guest bundle in %s has it (add a kernel with: ped kernel add --arch %[1]s)", arch, dir)
	}
	got, err := fileDigest(youngest)
	if err == nil && got != "sha256:"+digest {
		err = errors.New("it is not the file of the bundle's manifest: add the kernel again")
	}
	if err != nil {
		return "", fmt.Errorf("find guestrd %s: %w", youngest, err)
	}
	return youngest, nil
}

// guestrdDigest is what a manifest says; empty if it says nothing.
func guestrdDigest(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	var m struct {
		GuestrdSHA256 string `json:"guestrd_sha256"`
	}
	if json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(&m) != nil {
		return ""
	}
	return m.GuestrdSHA256
}

// fileDigest is sha256: and 64 hex digits.
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
