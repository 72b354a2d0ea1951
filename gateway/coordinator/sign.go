package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// sign gives requests for the objects of an attempt to the executor that holds
// it: inputs that the specification names, and the attempt's own objects with
// exact size and digest.
func (c *Coordinator) sign(ctx context.Context, executor string, body []byte) (any, error) {
	ask, err := schemas.DecodeControl[schemas.Sign](body)
	if err != nil {
		return nil, fmt.Errorf("decode sign: %w", err)
	}
	rec, _, known := c.state.live(schemas.RecordKey(ask.Tenant, ask.Job))
	if !known || !holds(&rec, executor, ask.Attempt) {
		if rec, _, err = c.read(ctx, ask.Tenant, ask.Job); err != nil && !isNotFound(err) {
			return nil, err
		}
		if err != nil || !holds(&rec, executor, ask.Attempt) {
			return schemas.SignReply{Stop: true, Refused: reasonNotYours}, nil
		}
	}
	spec, err := c.spec(ctx, &rec)
	if err != nil {
		return nil, err
	}
	reply, err := c.signAll(ctx, ask, spec)
	var no unsigned
	if errors.As(err, &no) {
		c.log.Warn("nothing signed", "executor", executor, "job", ask.Job, "attempt", ask.Attempt, "why", no)
		return schemas.SignReply{Refused: string(no)}, nil
	}
	return reply, err
}

// unsigned says why nothing is signed.
type unsigned string

func (u unsigned) Error() string { return string(u) }

func (c *Coordinator) signAll(ctx context.Context, ask schemas.Sign, spec *schemas.JobSpec) (reply schemas.SignReply, err error) {
	for _, digest := range ask.Get {
		sum, err := schemas.ParseDigest(digest)
		if err != nil || !named(spec, digest) {
			return reply, unsigned(fmt.Sprintf("the specification names no input %.80q", digest))
		}
		signed, err := c.store.SignGet(ctx, schemas.InputKey(ask.Tenant, sum), 0)
		if err != nil {
			return reply, fmt.Errorf("sign input: %w", err)
		}
		reply.Get = append(reply.Get, *signedRequest(signed))
	}
	for _, o := range ask.Put {
		sum, err := schemas.ParseDigest(o.SHA256)
		if err != nil {
			return reply, unsigned(err.Error())
		}
		if limit := objectLimit(o.Name, spec); o.Size < 0 || o.Size > limit {
			return reply, unsigned(fmt.Sprintf("object %.40q of %d bytes, at most %d allowed", o.Name, o.Size, limit))
		}
		key := schemas.AttemptKey(ask.Tenant, ask.Job, ask.Attempt, o.Name)
		signed, err := c.store.SignPut(ctx, key, objstore.SignPutOptions{Size: o.Size, SHA256: sum, IfAbsent: true})
		if err != nil {
			return reply, fmt.Errorf("sign object %s: %w", o.Name, err)
		}
		reply.Put = append(reply.Put, *signedRequest(signed))
	}
	return reply, nil
}

func named(spec *schemas.JobSpec, digest string) bool {
	for _, f := range spec.Files {
		if f.SHA256 == digest {
			return true
		}
	}
	return false
}

// logSlack is what packing may add to a log that compression does not shrink.
const logSlack = 1 << 20

// objectLimit is how large an attempt's object may be, in bytes; -1 for what is none.
func objectLimit(name string, spec *schemas.JobSpec) int64 {
	if !slices.Contains(schemas.AttemptObjects, name) {
		return -1
	}
	switch name {
	case schemas.ObjectResult:
		return schemas.MaxResultBytes
	case schemas.ObjectArchive:
		return min(spec.Limits.ArchiveBytes(), objstore.MaxObjectSize)
	case schemas.ObjectIndex:
		return schemas.MaxIndexBytes
	default:
		return schemas.StdioLog + logSlack
	}
}

func signedRequest(s objstore.SignedRequest) *schemas.SignedRequest {
	return &schemas.SignedRequest{Method: s.Method, URL: s.URL, Header: s.Header}
}
