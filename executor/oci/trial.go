//go:build linux

package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/imagesync/erofsfile"
	"github.com/program-explorer/pe/imagesync/flatten"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// trialReference names the image of trials, which no job can have.
const trialReference = "trial"

// trial breaks one limit.
type trial struct {
	limit string
	set   func(*guestproto.Limits)
	// ends says that the limit ends the program, as opposed to being in its way.
	ends bool
}

// trials are of all limits.
func trials() []trial {
	return []trial{
		{guestproto.LimitWall, func(l *guestproto.Limits) { l.WallMS = 100 }, true},
		{guestproto.LimitCPU, func(l *guestproto.Limits) { l.CPUMS = 100 }, true},
		{guestproto.LimitMemory, func(l *guestproto.Limits) { l.Memory = 64 << 20 }, true},
		{guestproto.LimitPIDs, func(l *guestproto.Limits) { l.PIDs = 16 }, false},
		{guestproto.LimitScratch, func(l *guestproto.Limits) { l.Scratch = 4 << 20 }, false},
		{guestproto.LimitOutput, func(l *guestproto.Limits) { l.Output = 1 << 20 }, false},
	}
}

// run runs it in a machine of its own and looks at how it ends.
func (t trial) run(ctx context.Context, r *Runner, image *imagesync.Image) (err error) {
	g, err := r.boot(ctx, "trial-"+unique(), image, nil)
	if err != nil {
		return fmt.Errorf("no machine starts: %w", err)
	}
	defer func() {
		if closing := g.close(); err == nil {
			err = closing
		}
	}()
	job := guestproto.Job{
		Argv: []string{"/trial", "trial", t.limit}, Cwd: "/tmp",
		Limits: guestproto.Limits{WallMS: 20_000, Memory: 512 << 20, PIDs: 128, Scratch: 128 << 20, Output: 64 << 20, Log: 1 << 20},
		Input:  guestproto.Input{Via: guestproto.ViaNone}, Output: guestproto.Output{Via: guestproto.ViaChannel}, Stdin: guestproto.Stdin{Via: guestproto.ViaNone},
	}
	t.set(&job.Limits)
	var said []byte
	say := func(p []byte) { said = append(said, p...) }
	out, err := g.Run(ctx, session.Request{Job: &job, Stdout: say, Stderr: say})
	if err != nil {
		return fmt.Errorf("the machine of the trial of %s failed: %w", t.limit, g.explain(err))
	}
	hit := slices.Contains(out.Exit.LimitsHit, t.limit) || out.Collected.Limit == t.limit
	if !hit || t.ends && out.Exit.Limit != t.limit {
		return fmt.Errorf("the limit %s does not hold: the program that tried to break it ended with code %d, signal %d, limits %q %.100q",
			t.limit, out.Exit.Code, out.Exit.Signal, out.Exit.LimitsHit, said)
	}
	return nil
}

// trialImage makes an image of folders and guestrd, as a program.
func trialImage(ctx context.Context, dir, guest string) (*imagesync.Image, error) {
	program, err := os.ReadFile(guest)
	if err != nil {
		return nil, fmt.Errorf("make image of the trial: %w", err)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	entries := []tar.Header{
		{Typeflag: tar.TypeDir, Name: "etc/", Mode: 0o755}, {Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777},
		{Typeflag: tar.TypeReg, Name: "trial", Mode: 0o755, Size: int64(len(program))},
	}
	for _, h := range entries {
		h.ModTime = time.Unix(0, 0)
		if err := w.WriteHeader(&h); err != nil {
			return nil, fmt.Errorf("make image of the trial: %w", err)
		}
	}
	if _, err := w.Write(program); err != nil {
		return nil, fmt.Errorf("make image of the trial: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("make image of the trial: %w", err)
	}
	path := filepath.Join(dir, "image", "image.erofs")
	if err := writeImage(ctx, &layer, dir, path); err != nil {
		return nil, fmt.Errorf("make image of the trial: %w", err)
	}
	return &imagesync.Image{Reference: trialReference, ErofsPath: path, ErofsSHA256: trialReference}, nil
}

func writeImage(ctx context.Context, layer *bytes.Buffer, dir, path string) error {
	spool, err := flatten.NewFileSpool(dir)
	if err != nil {
		return err
	}
	defer spool.Close()
	limits := flatten.Limits{}.WithDefaults()
	read, err := flatten.ReadLayer(ctx, layer, spool, flatten.NewBudget(limits))
	if err != nil {
		return err
	}
	if err := spool.Flush(); err != nil {
		return err
	}
	tree := flatten.NewTree(limits)
	if err := tree.Apply(read); err != nil {
		return err
	}
	if _, err := tree.Size(); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	err = erofsfile.Write(ctx, tree, file)
	if closing := file.Close(); err == nil {
		err = closing
	}
	return err
}
