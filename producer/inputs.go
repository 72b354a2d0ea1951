package producer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/program-explorer/pe/schemas"
)

// Inputs are local files made ready to be submitted: small ones are in the
// specification itself, others are named by digest, and sent when the gateway asks.
type Inputs struct {
	// Files belong into [schemas.JobSpec.Files].
	Files map[string]schemas.File

	blobs map[string]LocalFile // by digest
	// mu has blobs sent once when several jobs with the same inputs are submitted.
	mu   sync.Mutex
	sent map[string]bool
}

// Prepare reads small files and hashes others.
func Prepare(ctx context.Context, files []LocalFile) (*Inputs, error) {
	if name := duplicate(files); name != "" {
		return nil, fmt.Errorf("two inputs are named %s", name)
	}
	in := &Inputs{Files: make(map[string]schemas.File, len(files)), blobs: map[string]LocalFile{}, sent: map[string]bool{}}
	var large []LocalFile
	inline := int64(0)
	for _, f := range files {
		if f.Size > MaxInline || inline+f.Size > maxInlineTotal {
			large = append(large, f)
			continue
		}
		inline += f.Size
		small, err := f.inline()
		if err != nil {
			return nil, err
		}
		in.Files[f.Name] = small
	}
	digests, err := hashAll(ctx, large)
	if err != nil {
		return nil, err
	}
	for i, f := range large {
		in.blobs[digests[i]] = f
		in.Files[f.Name] = schemas.File{SHA256: digests[i], Mode: f.mode()}
	}
	return in, nil
}

// maxSends is how often inputs are sent for one job: the gateway may have dropped
// some while others were on their way.
const maxSends = 3

// SubmitWith posts a job with such inputs. It is posted first: what the gateway
// does not have is sent only then, and nothing if the job's result is in its
// cache, or if it refuses the job. Progress may be nil.
func (c *Client) SubmitWith(ctx context.Context, spec schemas.JobSpec, in *Inputs, progress Progress) (schemas.Job, error) {
	for sends := 0; ; sends++ {
		job, err := c.Submit(ctx, spec)
		missing := in.have(err)
		if len(missing) == 0 || sends == maxSends {
			return job, err
		}
		if err := c.sendOnce(ctx, in, missing, sends > 0, progress); err != nil {
			return job, err
		}
	}
}

// have lists those of the inputs that a submission was refused for.
func (in *Inputs) have(err error) (missing []string) {
	var p *schemas.ProblemDocument
	if in == nil || !errors.As(err, &p) {
		return nil
	}
	for _, digest := range p.Missing {
		if _, ours := in.blobs[digest]; ours {
			missing = append(missing, digest)
		}
	}
	return missing
}

// sendOnce sends blobs; unless again is set, without those that were sent before.
func (c *Client) sendOnce(ctx context.Context, in *Inputs, missing []string, again bool, progress Progress) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	var wanted []string
	for _, digest := range missing {
		if again || !in.sent[digest] {
			wanted = append(wanted, digest)
		}
	}
	if err := c.sendBlobs(ctx, in.blobs, wanted, progress); err != nil {
		return err
	}
	for _, digest := range wanted {
		in.sent[digest] = true
	}
	return nil
}
