package producer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/program-explorer/pe/schemas"
)

const (
	// MaxInline is the largest file, in bytes, that travels in the specification itself.
	MaxInline = 16 << 10
	// maxInlineTotal keeps the specification small enough to travel in a claim.
	maxInlineTotal = 64 << 10
	// uploads is how many blobs are hashed or sent at the same time.
	uploads = 4
)

// Progress is told how many bytes of those that must be sent have been. Calls
// do not overlap.
type Progress func(sent, total int64)

// Upload makes inputs of local files, and sends those that are large and that the
// gateway does not have. The result belongs into [schemas.JobSpec.Files].
// Progress may be nil. [Client.SubmitWith] sends no more than the job needs.
func (c *Client) Upload(ctx context.Context, files []LocalFile, progress Progress) (map[string]schemas.File, error) {
	in, err := Prepare(ctx, files)
	if err != nil {
		return nil, err
	}
	return in.Files, c.sendMissing(ctx, in.blobs, progress)
}

func (f LocalFile) inline() (schemas.File, error) {
	r, err := f.Open()
	if err != nil {
		return schemas.File{}, fmt.Errorf("read input: %w", err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, MaxInline+1))
	if err != nil {
		return schemas.File{}, fmt.Errorf("read input %s: %w", f.Name, err)
	}
	if int64(len(data)) != f.Size {
		return schemas.File{}, fmt.Errorf("read input %s: it changed while it was read", f.Name)
	}
	if utf8.Valid(data) {
		text := string(data)
		return schemas.File{Text: &text, Mode: f.mode()}, nil
	}
	text := base64.StdEncoding.EncodeToString(data)
	return schemas.File{Base64: &text, Mode: f.mode()}, nil
}

func hashAll(ctx context.Context, files []LocalFile) ([]string, error) {
	digests := make([]string, len(files))
	err := parallel(ctx, len(files), func(_ context.Context, i int) (err error) {
		digests[i], err = files[i].digest()
		return err
	})
	return digests, err
}

// sendMissing asks what the gateway does not have, and sends that.
func (c *Client) sendMissing(ctx context.Context, blobs map[string]LocalFile, progress Progress) error {
	if len(blobs) == 0 {
		return nil
	}
	missing, err := c.Missing(ctx, keysOf(blobs))
	if err != nil {
		return fmt.Errorf("ask which inputs to send: %w", err)
	}
	return c.sendBlobs(ctx, blobs, missing, progress)
}

// sendBlobs sends those of the blobs that are missing.
func (c *Client) sendBlobs(ctx context.Context, blobs map[string]LocalFile, missing []string, progress Progress) error {
	count := counter{tell: progress}
	var wanted []string
	for _, digest := range missing {
		if f, asked := blobs[digest]; asked {
			wanted = append(wanted, digest)
			count.total += f.Size
		}
	}
	return parallel(ctx, len(wanted), func(ctx context.Context, i int) error {
		f := blobs[wanted[i]]
		if err := c.put(ctx, wanted[i], f, &count); err != nil {
			return fmt.Errorf("send input %s: %w", f.Name, err)
		}
		return nil
	})
}

// Missing returns which of these digests the gateway does not have.
func (c *Client) Missing(ctx context.Context, digests []string) ([]string, error) {
	var missing []string
	for len(digests) > 0 {
		n := min(len(digests), schemas.MaxMissing)
		body, size, err := jsonBody(schemas.MissingRequest{SHA256: digests[:n]})
		if err != nil {
			return nil, err
		}
		var reply schemas.MissingReply
		post := call{method: http.MethodPost, path: []string{"v1", "blobs", "missing"}, body: body, size: size, json: true}
		if err := c.retry(ctx, func() error { return c.ask(ctx, post, &reply) }); err != nil {
			return nil, err
		}
		missing = append(missing, reply.Missing...)
		digests = digests[n:]
	}
	return missing, nil
}

// put sends one blob. It is named by its content, so it may be sent twice.
func (c *Client) put(ctx context.Context, digest string, f LocalFile, count *counter) error {
	var sent atomic.Int64
	put := call{method: http.MethodPut, path: []string{"v1", "blobs", digest}, size: f.Size, header: http.Header{}}
	put.header.Set("Content-Type", "application/octet-stream")
	put.body = func() (io.ReadCloser, error) {
		count.add(-sent.Swap(0)) // what a broken try had sent
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		return &counted{ReadCloser: r, left: f.Size, sent: &sent, count: count}, nil
	}
	return c.retry(ctx, func() error {
		var blob schemas.Blob
		err := c.ask(ctx, put, &blob)
		var p *schemas.ProblemDocument
		if errors.As(err, &p) && strings.HasSuffix(p.Type, ":wrong-digest") {
			return errors.New("it changed while it was sent")
		}
		return err
	})
}

// counted reads at most what was announced, and counts.
type counted struct {
	io.ReadCloser
	left  int64
	sent  *atomic.Int64
	count *counter
}

func (r *counted) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.ReadCloser.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	r.sent.Add(int64(n))
	r.count.add(int64(n))
	return n, err
}

type counter struct {
	mu          sync.Mutex
	sent, total int64
	tell        Progress
}

func (c *counter) add(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent += n
	if c.tell != nil && n != 0 {
		c.tell(c.sent, c.total)
	}
}

// parallel calls do for 0 to n-1, at most uploads at a time, and returns the
// first error after all have returned.
func parallel(ctx context.Context, n int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(n, uploads) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func keysOf(m map[string]LocalFile) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}
