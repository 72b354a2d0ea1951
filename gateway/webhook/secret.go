package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// Headers of the Standard Webhooks specification.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

const (
	secretBytes = 32
	// maxSecrets sign at once; a rotation drops the oldest beyond.
	maxSecrets = 4
)

// secret signs, until a time if it was replaced.
type secret struct {
	// Key as its owner knows it: whsec_ and base 64.
	Key     string `json:"key"`
	UntilUS int64  `json:"until_us,omitempty"`
}

// secrets of one webhook, the newest first.
type secrets []secret

func newSecret() secret {
	var key [secretBytes]byte
	rand.Read(key[:]) // never fails
	return secret{Key: schemas.SecretPrefix + base64.StdEncoding.EncodeToString(key[:])}
}

// at are those that sign now.
func (s secrets) at(now time.Time) secrets {
	var valid secrets
	for _, one := range s {
		if one.UntilUS == 0 || now.UnixMicro() < one.UntilUS {
			valid = append(valid, one)
		}
	}
	return valid
}

// rotated begins with a new secret; the ones before sign for overlap more.
func (s secrets) rotated(now time.Time, by secret, overlap time.Duration) secrets {
	all := secrets{by}
	for _, one := range s.at(now) {
		until := now.Add(overlap).UnixMicro()
		if one.UntilUS == 0 || until < one.UntilUS {
			one.UntilUS = until
		}
		all = append(all, one)
	}
	all = all.at(now)
	return all[:min(len(all), maxSecrets)]
}

// sign gives the value of webhook-signature: one v1 for each secret.
func (s secrets) sign(id string, at time.Time, body []byte) (string, error) {
	var all []string
	for _, one := range s.at(at) {
		key, err := schemas.ParseSecret(one.Key)
		if err != nil {
			return "", fmt.Errorf("sign: %w", err)
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(all, " "), nil
}

func validSecrets(s secrets) bool {
	for _, one := range s {
		if _, err := schemas.ParseSecret(one.Key); err != nil {
			return false
		}
	}
	return len(s) > 0 && len(s) <= maxSecrets
}
