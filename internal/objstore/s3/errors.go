package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"

	"github.com/program-explorer/pe/internal/objstore"
)

// fail says what was done to what, and turns the service's answer into the
// errors of objstore. The URL in a transport's error may be signed: it goes.
func (s *Store) fail(verb, name string, err error) error {
	kind := kindOf(err)
	var transport *url.Error
	if errors.As(err, &transport) {
		err = transport.Err
	}
	if kind == objstore.ErrUnavailable {
		return fmt.Errorf("%s %s at %s: %w: %w", verb, name, hostOnly(s.config.Endpoint), kind, err)
	}
	if kind == nil || errors.Is(err, kind) {
		return fmt.Errorf("%s %s: %w", verb, name, err)
	}
	return fmt.Errorf("%s %s: %w (%w)", verb, name, kind, err)
}

// failBucket is fail for questions about the bucket itself: whatever went
// wrong with those, no object can be had.
func (s *Store) failBucket(verb string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, objstore.ErrUnavailable) {
		return err
	}
	var transport *url.Error
	if errors.As(err, &transport) {
		err = transport.Err
	}
	return fmt.Errorf("%s bucket %s at %s: %w: %w", verb, s.config.Bucket, hostOnly(s.config.Endpoint), objstore.ErrUnavailable, err)
}

// kindOf gives the sentinel for err, nil if there is none.
func kindOf(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	for _, known := range []error{objstore.ErrNotFound, objstore.ErrExists, objstore.ErrDigest, objstore.ErrSize, objstore.ErrKey, objstore.ErrRange, objstore.ErrOptions} {
		if errors.Is(err, known) {
			return known
		}
	}
	answer := minio.ToErrorResponse(err)
	switch answer.Code {
	case minio.NoSuchKey, "NotFound":
		return objstore.ErrNotFound
	case "BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch":
		return objstore.ErrDigest
	case "IncompleteBody", "EntityTooLarge":
		return objstore.ErrSize
	case minio.NoSuchBucket, minio.AccessDenied, "InvalidAccessKeyId", "SignatureDoesNotMatch", "SlowDown", "ServiceUnavailable":
		return objstore.ErrUnavailable
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return objstore.ErrUnavailable
	case http.StatusPreconditionFailed:
		return objstore.ErrExists
	case http.StatusRequestedRangeNotSatisfiable:
		return objstore.ErrRange
	case http.StatusInsufficientStorage:
		return objstore.ErrFull
	}
	var network net.Error
	if errors.As(err, &network) {
		return objstore.ErrUnavailable
	}
	return nil
}
