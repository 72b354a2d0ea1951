package guestproto

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxText bounds every line that is meant for people.
const maxText = 1 << 10

// Messages without fields, or whose fields may be anything.

func (*Freeze) Validate() error       { return nil }
func (*Ping) Validate() error         { return nil }
func (*Pong) Validate() error         { return nil }
func (*Poweroff) Validate() error     { return nil }
func (*Start) Validate() error        { return nil }
func (*StdinEnd) Validate() error     { return nil }
func (*IdentityDone) Validate() error { return nil }

func counts(values ...int64) error {
	for _, v := range values {
		if v < 0 {
			return fmt.Errorf("negative value %d", v)
		}
	}
	return nil
}

func texts(lines ...string) error {
	for _, s := range lines {
		if len(s) > maxText {
			return fmt.Errorf("text of %d bytes, at most %d", len(s), maxText)
		}
		if !utf8.ValidString(s) {
			return fmt.Errorf("text %.40q is not UTF-8", s)
		}
	}
	return nil
}

func limits(names []string) error {
	for i, n := range names {
		if !limit(n) || i > 0 && names[i-1] >= n {
			return fmt.Errorf("limits are not a sorted set of names: %.40q", n)
		}
	}
	return nil
}

func limit(s string) bool {
	switch s {
	case LimitWall, LimitCPU, LimitMemory, LimitPIDs, LimitScratch, LimitOutput, LimitLog:
		return true
	}
	return false
}

// MaxFeatures is how many features of its processor a guest may name.
const MaxFeatures = 1024

func features(names []string) error {
	if len(names) > MaxFeatures {
		return fmt.Errorf("%d features, at most %d", len(names), MaxFeatures)
	}
	for i, n := range names {
		if !ValidFeature(n) || i > 0 && names[i-1] >= n {
			return fmt.Errorf("features are not a sorted set of names: %.40q", n)
		}
	}
	return nil
}

// ValidFeature says whether a guest may name a feature of its processor so.
func ValidFeature(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == ""
}

// serial is what a virtio disk can carry: at most 20 bytes; ours are [a-z0-9-].
func serial(s string) bool { return len(s) <= 20 && hostname(s) }

func hostname(s string) bool {
	return s != "" && len(s) <= 63 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func hexadecimal(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
