package schemas

import (
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// SingleTenant is the tenant of every job while no tokens are configured.
const SingleTenant = "local"

// idAlphabet is Crockford's base 32 in lower case: no letter can be mistaken
// for a digit, and its byte order is its numeric order.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// deliveryPrefix begins the id of a delivery.
const deliveryPrefix = "msg_"

const (
	idTimeChars   = 10 // 50 bits: milliseconds until the year 37,000
	idRandomChars = 15 // 75 bits
)

var (
	jobIDPattern = regexp.MustCompile(`^j[0-9a-hjkmnp-tv-z]{25}$`)
	tokenPattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$`)
)

// NewJobID returns "j" and 25 characters that sort by time of creation.
// Ids are used as subject tokens and parts of object keys, so they never hold
// anything but [a-z0-9].
func NewJobID(now time.Time, random io.Reader) (string, error) { return newID('j', now, random) }

// NewWebhookID returns "w" and 25 characters, as [NewJobID] does.
func NewWebhookID(now time.Time, random io.Reader) (string, error) { return newID('w', now, random) }

// DeliveryID returns "msg_" and 26 characters that stand for 16 bytes.
func DeliveryID(of [16]byte) string {
	id := appendBase32([]byte(deliveryPrefix), binary.BigEndian.Uint64(of[:8]), 13)
	return string(appendBase32(id, binary.BigEndian.Uint64(of[8:]), 13))
}

func newID(kind byte, now time.Time, random io.Reader) (string, error) {
	var entropy [16]byte
	if _, err := io.ReadFull(random, entropy[:]); err != nil {
		return "", fmt.Errorf("read randomness for an id: %w", err)
	}
	id := make([]byte, 0, 1+idTimeChars+idRandomChars)
	id = append(id, kind)
	id = appendBase32(id, uint64(now.UnixMilli()), idTimeChars)
	id = appendBase32(id, binary.BigEndian.Uint64(entropy[:8]), 8)
	id = appendBase32(id, binary.BigEndian.Uint64(entropy[8:]), idRandomChars-8)
	return string(id), nil
}

// JobIDParts are what a job's id is made of: a way to keep it in 18 bytes.
type JobIDParts struct {
	// TimeMS is its time in milliseconds since the Unix epoch; 0 of an id that is
	// derived from an idempotency key.
	TimeMS uint64
	// High and Low are its random 75 bits: the first 60, and the rest.
	High uint64
	Low  uint16
}

const idHighChars = 12

// SplitJobID takes a valid job id apart.
func SplitJobID(id string) JobIDParts {
	time, random := id[1:1+idTimeChars], id[1+idTimeChars:]
	return JobIDParts{base32Value(time), base32Value(random[:idHighChars]), uint16(base32Value(random[idHighChars:]))}
}

// JobID is the id that [SplitJobID] took apart.
func (p JobIDParts) JobID() string {
	id := append(make([]byte, 0, 1+idTimeChars+idRandomChars), 'j')
	id = appendBase32(id, p.TimeMS, idTimeChars)
	id = appendBase32(id, p.High, idHighChars)
	return string(appendBase32(id, uint64(p.Low), idRandomChars-idHighChars))
}

func base32Value(s string) (v uint64) {
	for i := range len(s) {
		v = v<<5 | uint64(strings.IndexByte(idAlphabet, s[i]))
	}
	return v
}

func appendBase32(dst []byte, v uint64, chars int) []byte {
	for i := chars - 1; i >= 0; i-- {
		dst = append(dst, idAlphabet[v>>(5*i)&31])
	}
	return dst
}

// ValidJobID reports whether s has the form of a job id.
func ValidJobID(s string) bool { return jobIDPattern.MatchString(s) }

// ValidToken reports whether s may name a tenant, an executor or a pool: it is
// one NATS subject token and one part of an object key.
func ValidToken(s string) bool { return tokenPattern.MatchString(s) }
