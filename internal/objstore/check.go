package objstore

import (
	"fmt"
	"strings"
	"time"
)

const (
	maxKey     = 512 // bytes of a whole key
	maxSegment = 200 // bytes between two slashes: below every file system's 255, with room for a suffix
	// MaxList is the most objects that one List call gives.
	MaxList = 1000
)

// ValidateKey checks that key is 1 to 512 bytes of segments joined by single
// slashes, each of 1 to 200 of [A-Za-z0-9._-], none beginning with a dot. So no
// key needs escaping in a URL, climbs out of a folder, or differs between backends.
func ValidateKey(key string) error {
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("%w: %d bytes long, want 1 to %d", ErrKey, len(key), maxKey)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if err := validateSegment(segment); err != nil {
			return fmt.Errorf("%w %q: %s", ErrKey, key, err)
		}
	}
	return nil
}

func validateSegment(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("empty segment")
	case len(s) > maxSegment:
		return fmt.Errorf("segment longer than %d bytes", maxSegment)
	case s[0] == '.':
		return fmt.Errorf("segment begins with a dot")
	}
	for i := range len(s) {
		if !keyByte(s[i]) {
			return fmt.Errorf("byte 0x%02x is not allowed", s[i])
		}
	}
	return nil
}

func keyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// ValidatePrefix checks a List prefix: empty, a key, or the beginning of one.
func ValidatePrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return ValidateKey(strings.TrimSuffix(prefix, "/"))
}

// Check validates the options and gives the largest size in bytes that may be read.
func (o PutOptions) Check() (int64, error) {
	limit := o.MaxSize
	if limit <= 0 || limit > MaxObjectSize {
		limit = MaxObjectSize
	}
	if o.Size < -1 {
		return 0, fmt.Errorf("%w: size %d", ErrOptions, o.Size)
	}
	if o.Size > limit {
		return 0, fmt.Errorf("%w: %d bytes announced, at most %d allowed", ErrSize, o.Size, limit)
	}
	if o.SHA256 != "" && !validSHA256(o.SHA256) {
		return 0, fmt.Errorf("%w: sha256 is not 64 lower-case hex digits", ErrOptions)
	}
	return limit, checkContentType(o.ContentType)
}

// Check validates the options and gives the life of the URL.
func (o SignPutOptions) Check() (time.Duration, error) {
	if o.Size < 0 {
		return 0, fmt.Errorf("%w: a signed put needs an exact size", ErrOptions)
	}
	if o.Size > MaxObjectSize {
		return 0, fmt.Errorf("%w: %d bytes announced, at most %d allowed", ErrSize, o.Size, int64(MaxObjectSize))
	}
	if !validSHA256(o.SHA256) {
		return 0, fmt.Errorf("%w: a signed put needs a sha256 of 64 lower-case hex digits", ErrOptions)
	}
	return CheckExpiry(o.Expires)
}

// CheckExpiry gives the life of a signed URL in whole seconds: the default for
// 0, an error outside of 1 s to MaxSignExpiry.
func CheckExpiry(d time.Duration) (time.Duration, error) {
	if d == 0 {
		return MaxSignExpiry, nil
	}
	if d < time.Second || d > MaxSignExpiry {
		return 0, fmt.Errorf("%w: expiry %s, want 1s to %s", ErrOptions, d, MaxSignExpiry)
	}
	return d.Truncate(time.Second), nil
}

// Check refuses negative ranges.
func (r Range) Check() error {
	if r.Offset < 0 || r.Length < 0 {
		return fmt.Errorf("%w: offset %d, length %d", ErrRange, r.Offset, r.Length)
	}
	return nil
}

// Within gives the number of bytes that the range selects of an object of size
// bytes. A range that begins past the end is ErrRange; all of an empty object is 0.
func (r Range) Within(size int64) (int64, error) {
	if err := r.Check(); err != nil {
		return 0, err
	}
	if r.Offset > size || r.Offset == size && r.Offset > 0 {
		return 0, fmt.Errorf("%w: offset %d of %d bytes", ErrRange, r.Offset, size)
	}
	rest := size - r.Offset
	if r.Length > 0 && r.Length < rest {
		return r.Length, nil
	}
	return rest, nil
}

// CheckLimit gives the page size for a List limit.
func CheckLimit(limit int) (int, error) {
	if limit < 0 || limit > MaxList {
		return 0, fmt.Errorf("%w: list limit %d, want 1 to %d", ErrOptions, limit, MaxList)
	}
	if limit == 0 {
		return MaxList, nil
	}
	return limit, nil
}

func validSHA256(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func checkContentType(s string) error {
	if len(s) > MaxContentType {
		return fmt.Errorf("%w: content type of %d bytes, at most %d", ErrOptions, len(s), MaxContentType)
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return fmt.Errorf("%w: content type %q is not printable ASCII", ErrOptions, s)
		}
	}
	return nil
}
