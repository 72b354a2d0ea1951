package executor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/internal/archive"
	"github.com/program-explorer/pe/internal/archive/atrest"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// collected is a result and the files that go to the store before it.
type collected struct {
	result  schemas.Result
	objects []localObject
}

// localObject is a file on this host that becomes an object of the attempt.
type localObject struct {
	schemas.Object
	path string
}

// collect turns what the guest left, which is hostile, into the archive at rest
// and a result.
func (e *Executor) collect(ctx context.Context, a *attempt, image *imagesync.Image, ended Ended) (*collected, error) {
	end := a.timeline.begin(schemas.SpanCollected)
	c := &collected{result: e.newResult(a, image, ended)}
	c.skippedByGuest(ended.Collected)
	if err := c.addOutputs(ctx, a, ended); err != nil {
		return nil, fail(schemas.FailGuest, fmt.Errorf("outputs: %w", err))
	}
	if err := c.addLogs(a, ended.Exit); err != nil {
		return nil, fail(schemas.FailInternal, err)
	}
	end()
	return c, nil
}

func (e *Executor) newResult(a *attempt, image *imagesync.Image, ended Ended) schemas.Result {
	offer := a.runner.Offering()
	return schemas.Result{
		Version: schemas.ResultVersion,
		Job:     a.held.Job,
		Attempt: a.held.Attempt,
		Outcome: outcome(ended.Exit, ended.Collected),
		Outputs: []schemas.Output{},
		Usage: schemas.Usage{
			UserUS:          ended.Exit.Rusage.UserUS,
			SystemUS:        ended.Exit.Rusage.SysUS,
			MaxRSSBytes:     ended.Exit.Rusage.MaxRSS,
			PeakMemoryBytes: ended.Exit.Rusage.MemoryPeak,
			HostCPUUS:       ended.HostCPU.Microseconds(),
		},
		RanOn: schemas.RanOn{
			Executor:     e.cfg.ID,
			Arch:         offer.Arch,
			Isolation:    offer.Isolation,
			Accel:        offer.Accel,
			CPUModel:     ended.Guest.CPUModel,
			Kernel:       ended.Guest.Kernel,
			ImageDigest:  image.Digest,
			GuestDigest:  ended.GuestDigest,
			MachineBytes: ended.MachineBytes,
		},
	}
}

// outcome says in the API's words how the program ended.
func outcome(exit guestproto.Exit, packed guestproto.Collected) schemas.Outcome {
	o := schemas.Outcome{Limit: exit.Limit, LimitsHit: exit.LimitsHit, Message: exit.Message}
	switch {
	case exit.Signal != 0:
		o.Signal = unix.SignalName(unix.Signal(exit.Signal))
		if o.Signal == "" {
			o.Signal = fmt.Sprintf("SIG%d", exit.Signal)
		}
	default:
		code := exit.Code
		o.ExitCode = &code
	}
	if packed.Limit != "" {
		if o.Limit == "" {
			o.Limit = packed.Limit
		}
		o.LimitsHit = append(o.LimitsHit, packed.Limit)
	}
	return o
}

// addOutputs packs the guest's tar into the archive at rest, entry by entry.
func (c *collected) addOutputs(ctx context.Context, a *attempt, ended Ended) error {
	if ended.Outputs == nil {
		return nil
	}
	path := filepath.Join(a.dir, schemas.ObjectArchive)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	index, err := atrest.Repack(&untilDone{ctx, ended.Outputs}, file, archive.Limits{MaxBytes: a.spec.Limits.OutputBytes})
	if err != nil {
		return err
	}
	c.list(index)
	if len(index.Entries) == 0 {
		return nil
	}
	packed := localObject{schemas.Object{Name: schemas.ObjectArchive, Size: index.ArchiveSize, SHA256: index.ArchiveSHA256}, path}
	c.result.Archive = &packed.Object
	var encoded bytes.Buffer
	if err := index.Encode(&encoded); err != nil {
		return err
	}
	listing, err := a.keep(schemas.ObjectIndex, encoded.Bytes())
	if err != nil {
		return err
	}
	c.result.Index = &listing.Object
	c.objects = append(c.objects, packed, listing)
	return nil
}

// skippedByGuest notes what the guest found under /output and can't be an output.
func (c *collected) skippedByGuest(packed guestproto.Collected) {
	c.result.SkippedTotal += int(packed.Skipped)
	for _, path := range packed.SkippedPaths {
		c.result.Skipped = append(c.result.Skipped, schemas.Skipped{Path: path, Reason: "neither file, folder nor link"})
	}
}

// list copies the beginning of the index into the result.
func (c *collected) list(index atrest.Index) {
	r := &c.result
	r.OutputsTotal, r.OutputsBytes = len(index.Entries), index.Bytes
	for _, e := range index.Entries[:min(len(index.Entries), schemas.MaxListedOutputs)] {
		r.Outputs = append(r.Outputs, schemas.Output{
			Path: e.Path, PathBase64: e.PathBase64, Type: e.Type, Size: e.Size, Mode: fmt.Sprintf("%04o", e.Mode),
			SHA256: e.SHA256, MediaType: e.MediaType, Link: e.Link,
		})
	}
	r.SkippedTotal += index.SkippedTotal
	for _, s := range index.Skipped {
		r.Skipped = append(r.Skipped, schemas.Skipped{Path: s.Path, Reason: s.Reason})
	}
}

// addLogs fills in stdout and stderr; what is longer than a head becomes an object.
func (c *collected) addLogs(a *attempt, exit guestproto.Exit) (err error) {
	if c.result.Stdout, err = a.stdout.stdio(exit.StdoutTruncated); err != nil {
		return err
	}
	if c.result.Stderr, err = a.stderr.stdio(exit.StderrTruncated); err != nil {
		return err
	}
	if c.result.Stdout.Log, err = c.addLog(a, a.stdout, schemas.ObjectStdout); err != nil {
		return err
	}
	c.result.Stderr.Log, err = c.addLog(a, a.stderr, schemas.ObjectStderr)
	return err
}

func (c *collected) addLog(a *attempt, s *spool, name string) (*schemas.Object, error) {
	if !s.long() {
		return nil, nil
	}
	path := filepath.Join(a.dir, name)
	object, err := compressTo(path, s.whole())
	if err != nil {
		return nil, fmt.Errorf("keep %s: %w", name, err)
	}
	object.Name = name
	c.objects = append(c.objects, localObject{*object, path})
	return object, nil
}

// compressTo writes r to path as zstd and returns size and digest of the file.
func compressTo(path string, r io.Reader) (*schemas.Object, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	hash := sha256.New()
	count := &counter{w: io.MultiWriter(file, hash)}
	enc, err := zstd.NewWriter(count, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(enc, r); err != nil {
		return nil, err
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return &schemas.Object{Size: count.n, SHA256: schemas.Digest(hash.Sum(nil))}, file.Close()
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// keep writes one small object of the attempt to its folder.
func (a *attempt) keep(name string, content []byte) (localObject, error) {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return localObject{}, err
	}
	sum := sha256.Sum256(content)
	return localObject{schemas.Object{Name: name, Size: int64(len(content)), SHA256: schemas.Digest(sum[:])}, path}, nil
}

// untilDone ends a long copy when the attempt is stopped.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}
