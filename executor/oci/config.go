package oci

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
)

// Config of a runner of contained machines.
type Config struct {
	// Kind is schemas.IsolationGVisor or schemas.IsolationContainer. Required.
	Kind string
	// Runtime is runsc for gVisor, runc or crun for containers: a path, or a name in PATH. Required.
	Runtime string
	// Guest is the path of guestrd for this host's architecture: see FindGuest. Required.
	Guest string
	// RunDir holds a folder for each machine, so that what a killed executor left can be swept. The
	// users of containers must be able to pass through it and all folders above. Jobs' inputs and
	// outputs lie there without a name, so it belongs on a disk. Required.
	RunDir string
	// LayerDir keeps what images' warm-ups wrote, and images that can't be mounted. Required.
	LayerDir string
	// LayerBytes is how much of the disk that may take. Default 10 GiB.
	LayerBytes int64
	// Extract has images extracted onto the disk, instead of mounted. Default: only where the host's
	// kernel has no EROFS.
	Extract bool
	// Allow are the images that may run in containers: references as jobs have them, or digests
	// (sha256:…). Containers share the host's kernel, so there is no "all". Not for gVisor.
	Allow []string
	// PoolBytes is how much memory machines may take that wait for jobs. Default 0: none waits.
	PoolBytes int64
	// PoolMax is how many wait of one image at most, where its catalog entry does not say. Default 4.
	PoolMax int
	// FirstUsers is the first of the ranges of users (see ocirun.UserRanges) that containers get.
	// Default 0: another process on this host sets it so that no range is shared.
	FirstUsers int
	// Metrics registers the pool's metrics; two runners of one registry need a label each. Default: nowhere.
	Metrics prometheus.Registerer
	// Log default: discard.
	Log *slog.Logger
}

func (c *Config) complete() error {
	if c.Kind != schemas.IsolationGVisor && c.Kind != schemas.IsolationContainer {
		return fmt.Errorf("no contained machine is of kind %q: want gvisor or container", c.Kind)
	}
	if c.Runtime == "" || c.Guest == "" || c.RunDir == "" || c.LayerDir == "" {
		return errors.New("contained machines need an OCI runtime, guestrd and two folders")
	}
	if c.Kind == schemas.IsolationContainer && len(c.Allow) == 0 {
		return errors.New("containers run only images that are allowed to, and none is")
	}
	for _, path := range []*string{&c.Guest, &c.RunDir, &c.LayerDir} {
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if c.LayerBytes <= 0 {
		c.LayerBytes = 10 << 30
	}
	if c.PoolMax <= 0 {
		c.PoolMax = 4
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// NotAllowedError is an image that may not run in containers.
type NotAllowedError struct{ Reference, Digest string }

func (e *NotAllowedError) Error() string {
	return fmt.Sprintf("image %s (%s) is not on this executor's list of images for containers", e.Reference, e.Digest)
}

// allowed applies the list.
func (c *Config) allowed(image *imagesync.Image) error {
	if c.Kind == schemas.IsolationGVisor || slices.Contains(c.Allow, image.Reference) || slices.Contains(c.Allow, image.Digest) {
		return nil
	}
	return &NotAllowedError{image.Reference, image.Digest}
}
