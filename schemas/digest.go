package schemas

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// DigestPrefix begins every digest in a document; object keys hold the plain hex.
const DigestPrefix = "sha256:"

// Digest formats the sum of a SHA-256 hash.
func Digest(sum []byte) string { return DigestPrefix + hex.EncodeToString(sum) }

// ParseDigest returns the 64 hex digits of a "sha256:" digest.
func ParseDigest(s string) (string, error) {
	digits, ok := strings.CutPrefix(s, DigestPrefix)
	if !ok || !ValidSHA256(digits) {
		return "", fmt.Errorf("digest %.80q: want sha256: and 64 lower-case hex digits", s)
	}
	return digits, nil
}

// ValidSHA256 reports whether s is 64 lower-case hex digits.
func ValidSHA256(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
